//! A configuration as a tree, in which every part knows where it was written.

use std::fmt;
use std::ops::RangeInclusive;
use std::rc::Rc;

/// A file and a line, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name, as given.
    pub file: Rc<str>,
    /// The line number, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// An error in a configuration, with its place.
#[derive(Debug)]
pub struct ConfigError(String);

impl ConfigError {
    /// A message about a place in a file.
    pub fn at(place: &Place, message: impl fmt::Display) -> Self {
        Self(format!("{place}: {message}"))
    }

    /// A message about a file as a whole.
    pub fn in_file(file: &str, message: impl fmt::Display) -> Self {
        Self(format!("{file}: {message}"))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The contents of a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    /// Named settings, in the order of the file.
    Group(Vec<Setting>),
    /// A list or an array.
    List(Vec<Value>),
    /// A string.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// JSON's null.
    Null,
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    pub(super) place: Place,
    pub(super) data: Data,
}

/// A name and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setting {
    pub(super) name: String,
    /// The place of the name.
    pub(super) place: Place,
    pub(super) value: Value,
}

impl Setting {
    fn wrong(&self, expected: &str) -> ConfigError {
        let found = match self.value.data {
            Data::Group(_) => "a group",
            Data::List(_) => "a list",
            Data::Text(_) => "a string",
            Data::Integer(_) => "an integer",
            Data::Float(_) => "a float",
            Data::Boolean(_) => "a boolean",
            Data::Null => "null",
        };
        ConfigError::at(&self.value.place, format_args!("\"{}\" must be {expected}, not {found}", self.name))
    }

    /// The value, if it is a group.
    pub(super) fn group(&self) -> Result<&[Setting], ConfigError> {
        match &self.value.data {
            Data::Group(settings) => Ok(settings),
            _ => Err(self.wrong("a group")),
        }
    }

    /// The value, if it is a string.
    pub(super) fn text(&self) -> Result<&str, ConfigError> {
        match &self.value.data {
            Data::Text(text) => Ok(text),
            _ => Err(self.wrong("a string")),
        }
    }

    /// The value, if it is true or false; 0 and 1 are accepted, too.
    pub(super) fn boolean(&self) -> Result<bool, ConfigError> {
        match self.value.data {
            Data::Boolean(value) => Ok(value),
            Data::Integer(value @ (0 | 1)) => Ok(value == 1),
            _ => Err(self.wrong("true or false")),
        }
    }

    /// The value, if it is a whole number from 1 to `most`.
    pub(super) fn count(&self, most: u32) -> Result<u32, ConfigError> {
        self.number(1..=most)
    }

    /// The value, if it is a whole number in this range.
    pub(super) fn number(&self, range: RangeInclusive<u32>) -> Result<u32, ConfigError> {
        match self.value.data {
            Data::Integer(value) => match u32::try_from(value) {
                Ok(value) if range.contains(&value) => Ok(value),
                _ => Err(ConfigError::at(
                    &self.value.place,
                    format_args!("\"{}\" is {value}, but must be from {} to {}", self.name, range.start(), range.end()),
                )),
            },
            _ => Err(self.wrong("an integer")),
        }
    }

    /// The value, if it is a list of strings.
    pub(super) fn texts(&self) -> Result<Vec<String>, ConfigError> {
        let Data::List(list) = &self.value.data else { return Err(self.wrong("a list of strings")) };
        list.iter()
            .map(|value| match &value.data {
                Data::Text(text) => Ok(text.clone()),
                _ => Err(ConfigError::at(&value.place, format_args!("\"{}\" must be a list of strings", self.name))),
            })
            .collect()
    }
}

/// The known name that a misspelt one probably means, as a part of a message.
pub(super) fn suggestion(name: &str, known: &[&str]) -> String {
    let distance = |known: &&&str| strsim::osa_distance(name, known);
    match known.iter().min_by_key(distance) {
        Some(nearest) if distance(&nearest) <= 1 + nearest.len() / 4 => format!("; did you mean \"{nearest}\"?"),
        _ => format!("; it may be one of {}", known.join(", ")),
    }
}

/// Keys that VILLASnode knows and that have no effect here. One warning names all that a node has.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    /// Where the first of them is.
    place: Option<Place>,
    names: Vec<String>,
}

impl Ignored {
    pub(super) fn add(&mut self, place: &Place, name: &str) {
        self.place.get_or_insert_with(|| place.clone());
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.into());
        }
    }

    /// Adds `enabled`, with its value if that is `false`: neither value has an effect here.
    pub(super) fn add_enabled(&mut self, setting: &Setting, name: &str) -> Result<(), ConfigError> {
        let value = if setting.boolean()? { "" } else { " = false" };
        self.add(&setting.place, &format!("{name}{value}"));
        Ok(())
    }

    /// The warning about them, if there are any.
    pub(super) fn warning(&self, node: &str) -> Option<String> {
        let place = self.place.as_ref()?;
        Some(format!("{place}: ignored in node \"{node}\", since they mean nothing here: {}", self.names.join(", ")))
    }
}
