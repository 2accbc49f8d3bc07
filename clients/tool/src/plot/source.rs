//! temporary until the formats' reader is merged
use crate::human::{Record, parse};
use crate::lines::{Lines, Next};
use crate::signals::{MAX_SIGNALS, Signal, SignalType, Signals};
use crate::standard;
use std::fs::File;
use std::path::Path;
pub(crate) enum ReadError {
    Malformed(String),
    Fatal(String),
}
pub(crate) struct Reader {
    name: String,
    lines: Lines<File>,
    signals: Signals,
}
impl Reader {
    pub(crate) fn open(path: &Path, types: &Signals) -> Result<Self, String> {
        let (name, file) = if path.as_os_str() == "-" {
            ("standard input".to_string(), standard::stdin()?)
        } else {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|error| format!("{name}: {error}"))?;
            (name, file)
        };
        Ok(Self { name, lines: Lines::new(file), signals: types.clone() })
    }
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.name, self.lines.number())
    }
    pub(crate) fn signals(&self) -> &Signals {
        &self.signals
    }
    pub(crate) fn read(&mut self, record: &mut Record) -> Result<bool, ReadError> {
        loop {
            match self.lines.next().map_err(|e| ReadError::Fatal(format!("{}: {e}", self.name)))? {
                Next::End => return Ok(false),
                Next::TooLong => return Err(ReadError::Malformed("this line is too long to be a sample".into())),
                Next::Line(line) => {
                    if line.starts_with(b"# seconds") {
                        let text = String::from_utf8_lossy(line);
                        let list = text
                            .trim()
                            .split('\t')
                            .skip(1)
                            .enumerate()
                            .map(|(i, t)| {
                                let (n, u) = t.strip_suffix(']').and_then(|t| t.split_once('[')).unwrap_or((t, ""));
                                let kind = self.signals.get(i).map_or(SignalType::Float, |s| s.kind());
                                Signal::new(n, u, kind)
                            })
                            .collect();
                        self.signals = Signals::new(list);
                        continue;
                    }
                    if parse(line, &self.signals, MAX_SIGNALS, record).map_err(|m| ReadError::Malformed(m.to_string()))? {
                        return Ok(true);
                    }
                }
            }
        }
    }
}
