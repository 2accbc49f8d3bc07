//! The signals of files as curves.

use std::path::{Path, PathBuf};

use super::choice::{Choice, Part};
use super::envelope::Envelope;
use crate::formats::{Format, ReadError, Reader};
use crate::log::log;
use crate::progress::Progress;
use crate::record::{Record, Time};
use crate::signals::{SignalType, Signals};

/// Without a choice of signals, no more curves are drawn: so many colours can be told apart.
const MOST: usize = 20;
/// Malformed lines of a file that are described.
const DESCRIBED: u32 = 20;

/// How values are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// By a line from each value to the next.
    Line,
    /// A value holds until the next one.
    Steps,
    /// As steps between false and true.
    Switch,
}

impl From<SignalType> for Shape {
    fn from(kind: SignalType) -> Shape {
        match kind {
            SignalType::Integer => Shape::Steps,
            SignalType::Boolean => Shape::Switch,
            SignalType::Float | SignalType::Complex => Shape::Line,
        }
    }
}

/// One curve.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) shape: Shape,
    /// Which of the files it is from.
    pub(crate) file: usize,
    pub(crate) envelope: Envelope,
    part: Part,
    /// Its value's place in a sample.
    index: usize,
    /// Its place among those that were asked for.
    rank: usize,
}

/// What is read.
pub(crate) struct Wanted<'a> {
    pub(crate) choice: &'a Choice,
    pub(crate) types: &'a Signals,
    /// What the files are, if their names do not say it.
    pub(crate) format: Option<Format>,
    /// Nothing before and after these times.
    pub(crate) from: Option<i64>,
    pub(crate) to: Option<i64>,
    /// The times of each file count from its first sample.
    pub(crate) is_aligned: bool,
}

/// All curves of all files.
#[derive(Default)]
pub(crate) struct Curves {
    pub(crate) list: Vec<Curve>,
    /// The names of the files.
    pub(crate) files: Vec<String>,
    /// Samples that are drawn.
    pub(crate) samples: u64,
    /// Every line was a sample.
    pub(crate) is_good: bool,
}

impl Curves {
    /// Reads all files.
    pub(crate) fn read(paths: &[PathBuf], wanted: &Wanted<'_>) -> Result<Curves, String> {
        let mut curves = Curves { is_good: true, files: names(paths), ..Curves::default() };
        let mut seen = Vec::new();
        for (file, path) in paths.iter().enumerate() {
            curves.read_one(file, path, wanted, &mut seen)?;
        }
        wanted.choice.check(&seen)?;
        curves.list.sort_by_key(|curve| curve.rank);
        curves.list.retain(|curve| curve.envelope.span().is_some());
        if curves.samples == 0 {
            let between = if wanted.from.or(wanted.to).is_some() { " between --from and --to" } else { "" };
            return Err(format!("{}: there are no samples{between}", curves.files.join(", ")));
        }
        if curves.list.is_empty() {
            return Err(format!("{}: the samples have no values that can be drawn", curves.files.join(", ")));
        }
        Ok(curves)
    }

    fn read_one(&mut self, file: usize, path: &Path, wanted: &Wanted<'_>, seen: &mut Vec<String>) -> Result<(), String> {
        let mut reader = Reader::open(path, wanted.format, wanted.types)?;
        let (start, mut record, mut known) = (self.list.len(), Record::default(), 0);
        // A text plot is printed when the bar has gone.
        let mut progress = Progress::new(false);
        let (mut malformed, mut timeless, mut base) = (0, 0_u64, None);
        loop {
            match reader.read(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(ReadError::Malformed(what)) => {
                    self.is_good = false;
                    malformed += 1;
                    if malformed <= DESCRIBED {
                        let last = if malformed == DESCRIBED { "; further ones are not mentioned" } else { "" };
                        log!(Error, "{}: {what}{last}", reader.place());
                    }
                    continue;
                }
                Err(ReadError::Fatal(what)) => return Err(format!("{}: {what}", reader.name())),
            }
            progress.step(false, || reader.progress());
            for index in known..record.values.len() {
                self.add(file, index, reader.signals(), wanted.choice, seen);
            }
            known = known.max(record.values.len());
            let Some(time) = record.origin.and_then(nanoseconds) else {
                timeless += 1;
                continue;
            };
            let time = if wanted.is_aligned { time.saturating_sub(*base.get_or_insert(time)) } else { time };
            if wanted.from.is_some_and(|from| time < from) || wanted.to.is_some_and(|to| time > to) {
                continue;
            }
            self.samples += 1;
            for curve in &mut self.list[start..] {
                let value = record.values.get(curve.index).map_or(f64::NAN, |&bits| curve.part.of(bits));
                curve.envelope.push(time, value);
            }
        }
        if timeless > 0 {
            log!(Warning, "{}: {timeless} samples have no time that can be drawn, and are left out", self.files[file]);
        }
        for curve in self.list[start..].iter().filter(|curve| curve.envelope.infinite > 0) {
            log!(
                Warning,
                "{}: {} values of {} are infinite, and left out",
                self.files[file],
                curve.envelope.infinite,
                curve.name
            );
        }
        let left = known.saturating_sub(self.list.len() - start);
        if left > 0 && wanted.choice.is_all() {
            log!(Warning, "{}: {left} more signals are not drawn; --signals chooses", self.files[file]);
        }
        Ok(())
    }

    /// Adds the curves of the value at `index`, if they are wanted.
    fn add(&mut self, file: usize, index: usize, signals: &Signals, choice: &Choice, seen: &mut Vec<String>) {
        let name = signals.name(index);
        for (rank, part, name) in choice.parts(&name, signals.kind(index)) {
            if choice.is_all() && self.list.len() >= MOST {
                break;
            }
            self.list.push(Curve {
                name,
                unit: signals.get(index).map_or("", |signal| signal.unit()).into(),
                shape: signals.kind(index).into(),
                file,
                envelope: Envelope::whole(),
                part,
                index,
                rank,
            });
        }
        seen.push(name.into());
    }

    /// The name of a curve, with its file's if there are several.
    pub(crate) fn title(&self, curve: &Curve) -> String {
        if self.files.len() > 1 { format!("{} – {}", curve.name, self.files[curve.file]) } else { curve.name.clone() }
    }

    /// The first and the last time of all curves.
    pub(crate) fn span(&self) -> (i64, i64) {
        let spans = self.list.iter().filter_map(|curve| curve.envelope.span());
        spans.reduce(|all, span| (all.0.min(span.0), all.1.max(span.1))).unwrap_or_default()
    }

    /// Whether there are two files that have no time in common.
    pub(crate) fn are_apart(&self) -> bool {
        let span = |file| {
            let spans = self.list.iter().filter(|curve| curve.file == file).filter_map(|curve| curve.envelope.span());
            spans.reduce(|all, span| (all.0.min(span.0), all.1.max(span.1)))
        };
        let spans: Vec<(i64, i64)> = (0..self.files.len()).filter_map(span).collect();
        spans.iter().any(|a| spans.iter().any(|b| a.1 < b.0))
    }
}

/// In nanoseconds since 1970; `None` if it is centuries away.
pub(crate) fn nanoseconds(time: Time) -> Option<i64> {
    time.sec.checked_mul(1_000_000_000)?.checked_add(time.nsec.into())
}

/// How files are called: by the last part of their paths, unless two are equal in it.
fn names(paths: &[PathBuf]) -> Vec<String> {
    let short = |path: &PathBuf| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let mut names: Vec<String> = paths.iter().map(short).collect();
    let is_twice = |name: &String| names.iter().filter(|other| *other == name).count() > 1;
    if names.iter().any(is_twice) {
        names = paths.iter().map(|path| path.display().to_string()).collect();
    }
    names.iter_mut().filter(|name| *name == "-").for_each(|name| *name = "standard input".into());
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_called_by_what_tells_them_apart() {
        let names = |paths: &[&str]| names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(names(&["a/x.dat", "b/y.dat", "-"]), ["x.dat", "y.dat", "standard input"]);
        assert_eq!(names(&["a/x.dat", "b/x.dat"]), ["a/x.dat", "b/x.dat"]);
    }
}
