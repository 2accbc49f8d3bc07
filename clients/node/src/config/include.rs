//! What VILLASnode does to strings: `${NAME}` is a variable of the environment, and `@include`
//! names files.
//!
//! Both apply to libconfig syntax and JSON. The contents of the files replace a string that begins
//! with `@include `, because JSON has no other way to include a file. Then variables are replaced
//! in every string, even in those that this tool does not use, so that a file loads here if it
//! loads in VILLASnode.

use std::env;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::value::{ConfigError, Data, Place, Value};

/// The depth to which the C library of libconfig lets files include each other.
const MAX_INCLUDES: usize = 10;

/// The most variables in one string, including those in the values of others: a variable may name
/// itself.
const MAX_VARIABLES: usize = 100;

/// As glob(3): a leading dot of a file's name must be given.
const AS_GLOB_3: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The place of a file among those that include each other.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// The directories to search for relative names, in order: that of the first file, those of the
    /// files that it includes, and the working directory.
    directories: Vec<PathBuf>,
    depth: usize,
}

impl Origin {
    /// The origin of the file that is read first.
    pub(super) fn of(path: &Path) -> Self {
        Self { directories: vec![directory(path), PathBuf::new()], depth: 0 }
    }

    /// The origin of a file that a file of this origin includes.
    pub(super) fn inner(&self, path: &Path) -> Self {
        let mut directories = self.directories.clone();
        // After the earlier ones and before the working directory, as VILLASnode does.
        directories.insert(self.depth + 1, directory(path));
        Self { directories, depth: self.depth + 1 }
    }

    /// The files that match `pattern`, sorted by name, with their contents.
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

    /// The contents of the files as one value: lists are joined; groups are merged, and a later
    /// file overrides.
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

/// The files in `directory` that match `pattern`.
fn matches(directory: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    if !pattern.contains(['*', '?', '[']) {
        let path = directory.join(pattern);
        let is_missing = path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        return Ok(if is_missing { Vec::new() } else { vec![path] });
    }
    // A star in a directory's name is an ordinary character.
    let directory = directory.to_str().map(Pattern::escape).ok_or("a pattern needs a directory whose name is UTF-8")?;
    let whole = Path::new(&directory).join(pattern);
    let paths = glob::glob_with(&whole.to_string_lossy(), AS_GLOB_3).map_err(|error| error.msg)?;
    paths.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

/// The directory of a file, to be joined with other paths: empty for the working directory.
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

/// The text with each `${NAME}` replaced by the value of the environment variable.
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

/// Where the first `${NAME}` is. It needs a name and a closing brace.
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
