//! What VILLASnode does to strings: `${NAME}` is a variable of the environment, and `@include`
//! names files.
//!
//! Both go for libconfig syntax and JSON. A string that begins with `@include ` is replaced by what
//! is in the files, as JSON has no other way to include one. Then variables are looked up in every
//! string, also in those that this tool does not use, so that a file loads here if it loads in
//! VILLASnode.

use std::env;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::value::{ConfigError, Data, Place, Value};

/// As deep as the C library of libconfig lets files include each other.
const MAX_INCLUDES: usize = 10;

/// So many variables may stand in one string, those in the values of others included: one may name
/// itself.
const MAX_VARIABLES: usize = 100;

/// As glob(3): a file whose name begins with a dot is meant only where the dot is given.
const AS_GLOB_3: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Where a file stands among those that include each other.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// Where relative names are looked for, one after the other: beside the first file, beside
    /// those that it includes, and in the working directory.
    directories: Vec<PathBuf>,
    depth: usize,
}

impl Origin {
    /// That of the file which is read first.
    pub(super) fn of(path: &Path) -> Self {
        Self { directories: vec![directory(path), PathBuf::new()], depth: 0 }
    }

    /// That of a file which is included by one of this origin.
    pub(super) fn inner(&self, path: &Path) -> Self {
        let mut directories = self.directories.clone();
        // Behind those that were there, as VILLASnode does, and before the working directory.
        directories.insert(self.depth + 1, directory(path));
        Self { directories, depth: self.depth + 1 }
    }

    /// The files that `pattern` stands for, in the order of their names, and what is in them.
    pub(super) fn files(&self, pattern: &str, place: &Place) -> Result<Vec<(PathBuf, Vec<u8>)>, ConfigError> {
        if self.depth == MAX_INCLUDES {
            return Err(ConfigError::at(place, format_args!("files include each other more than {MAX_INCLUDES} deep")));
        }
        let directories = if Path::new(pattern).is_absolute() { &[PathBuf::new()][..] } else { &self.directories };
        for directory in directories {
            let paths = matches(directory, pattern)
                .map_err(|error| ConfigError::at(place, format_args!("cannot include {pattern}: {error}")))?;
            if !paths.is_empty() {
                let read = |path: PathBuf| match std::fs::read(&path) {
                    Ok(text) => Ok((path, text)),
                    Err(error) => Err(ConfigError::at(place, format_args!("cannot include {}: {error}", path.display()))),
                };
                return paths.into_iter().map(read).collect();
            }
        }
        let looked: Vec<_> = directories.iter().map(|directory| format!("\"{}\"", directory.join(".").display())).collect();
        let message = format!("cannot include {pattern}: there is no such file; looked in {}", looked.join(", "));
        Err(ConfigError::at(place, message))
    }

    /// Replaces `@include` and variables in all strings of a value.
    pub(super) fn expand(&self, value: &mut Value) -> Result<(), ConfigError> {
        match &mut value.data {
            Data::Group(settings) => settings.iter_mut().try_for_each(|setting| self.expand(&mut setting.value)),
            Data::List(list) => list.iter_mut().try_for_each(|value| self.expand(value)),
            Data::Text(text) => {
                if let Some(pattern) = text.strip_prefix("@include ") {
                    *value = self.include(&with_variables(pattern, &value.place)?, &value.place)?;
                } else if text.contains("${") {
                    *text = with_variables(text, &value.place)?;
                }
                Ok(())
            }
            Data::Integer(_) | Data::Float(_) | Data::Boolean(_) | Data::Null => Ok(()),
        }
    }

    /// What is in the files as one value: lists one behind the other; groups in one, where the
    /// later file counts.
    fn include(&self, pattern: &str, place: &Place) -> Result<Value, ConfigError> {
        let mut all: Option<Value> = None;
        for (path, text) in self.files(pattern, place)? {
            let value = super::parse(&path, &path.display().to_string(), &text, &self.inner(&path))?;
            all = Some(match all {
                None => value,
                Some(all) => merge(all, value)?,
            });
        }
        all.ok_or_else(|| ConfigError::at(place, format_args!("cannot include {pattern}: there is no such file")))
    }
}

/// The files in `directory` that `pattern` stands for.
fn matches(directory: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    if !pattern.contains(['*', '?', '[']) {
        let path = directory.join(pattern);
        let is_missing = path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        return Ok(if is_missing { Vec::new() } else { vec![path] });
    }
    // In what a directory is called a star is a star.
    let directory = directory.to_str().map(Pattern::escape).ok_or("a pattern needs a directory whose name is UTF-8")?;
    let whole = Path::new(&directory).join(pattern);
    let paths = glob::glob_with(&whole.to_string_lossy(), AS_GLOB_3).map_err(|error| error.msg)?;
    paths.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

/// The directory of a file as it is joined with others: empty for the working directory.
fn directory(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_path_buf()
}

fn merge(mut first: Value, second: Value) -> Result<Value, ConfigError> {
    match (&mut first.data, second.data) {
        (Data::List(list), Data::List(more)) => list.extend(more),
        (Data::Group(settings), Data::Group(more)) => {
            for setting in more {
                match settings.iter_mut().find(|known| known.name == setting.name) {
                    None => settings.push(setting),
                    Some(known) => {
                        known.value = match (&known.value.data, &setting.value.data) {
                            (Data::Group(_), Data::Group(_)) => merge(known.value.clone(), setting.value)?,
                            _ => setting.value,
                        }
                    }
                }
            }
        }
        _ => {
            let message = format!("a list and a group are included in one place; the other one is at {}", first.place);
            return Err(ConfigError::at(&second.place, message));
        }
    }
    Ok(first)
}

/// The text with the values of variables of the environment in place of `${NAME}`.
pub(super) fn with_variables(text: &str, place: &Place) -> Result<String, ConfigError> {
    let mut text = text.to_owned();
    for _ in 0..=MAX_VARIABLES {
        let Some(range) = variable(&text) else { return Ok(text) };
        let name = &text[range.start + 2..range.end - 1];
        let why = match env::var(name) {
            Ok(value) => {
                text.replace_range(range, &value);
                continue;
            }
            Err(env::VarError::NotPresent) => "is not set",
            Err(env::VarError::NotUnicode(_)) => "is not UTF-8",
        };
        return Err(ConfigError::at(
            place,
            format_args!("the environment variable {name} {why}; this string names it: \"{text}\""),
        ));
    }
    Err(ConfigError::at(place, format_args!("more than {MAX_VARIABLES} environment variables in a string: one may name itself")))
}

/// Where the first `${NAME}` is. Without a name, or an end, it is none.
fn variable(text: &str) -> Option<std::ops::Range<usize>> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find("${")?;
        let end = start + text[start..].find('}')?;
        if end > start + 2 {
            return Some(start..end + 1);
        }
        from = end;
    }
}
