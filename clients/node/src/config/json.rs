//! The same tree, from JSON.
//!
//! `serde_json` checks the text and splits it, level by level. A piece ([`RawValue`]) is a part of
//! the text itself, so its address tells its line.

use std::fmt;
use std::rc::Rc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::value::{ConfigError, Data, Place, Setting, Value};

/// Values nested deeper than this are an error, so that no file can exhaust the stack.
const MAX_DEPTH: usize = 100;

/// A hint for people who confuse JSON with JavaScript.
const HINT: &str = "JSON has no comments, no comma behind the last value, and no quotes but \"";

/// Parses a whole file.
pub(super) fn parse(file: &str, text: &str) -> Result<Value, ConfigError> {
    if text.trim_ascii().is_empty() {
        return Err(ConfigError::in_file(file, "the file is not a JSON object: it is empty"));
    }
    let line_feeds = memchr::memchr_iter(b'\n', text.as_bytes()).collect();
    let tree = Tree { file: file.into(), text, line_feeds };
    tree.value(tree.read(text)?, 0)
}

/// The members of an object, in the order of the file.
struct Members<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'t> Deserialize<'t> for Members<'t> {
    fn deserialize<D: Deserializer<'t>>(from: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'t> Visitor<'t> for Collect {
            type Value = Members<'t>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'t>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        from.deserialize_map(Collect)
    }
}

struct Tree<'t> {
    file: Rc<str>,
    text: &'t str,
    /// Where the lines end. Looked up instead of counted: a file may list 65 536 signals.
    line_feeds: Vec<usize>,
}

impl<'t> Tree<'t> {
    /// Where a piece of the text begins.
    fn place(&self, piece: &str) -> Place {
        let at = piece.as_ptr() as usize - self.text.as_ptr() as usize;
        Place { file: Rc::clone(&self.file), line: 1 + self.line_feeds.partition_point(|&end| end < at) }
    }

    /// One level of a piece.
    fn read<T: Deserialize<'t>>(&self, piece: &'t str) -> Result<T, ConfigError> {
        serde_json::from_str(piece).map_err(|error| {
            let mut place = self.place(piece);
            // Both count from 1.
            place.line += error.line().saturating_sub(1);
            // Its line number is relative to the piece.
            let message = error.to_string();
            let end = format!(" at line {} column {}", error.line(), error.column());
            ConfigError::at(&place, format_args!("not valid JSON: {} ({HINT})", message.strip_suffix(&end).unwrap_or(&message)))
        })
    }

    fn settings(&self, object: Members<'t>, depth: usize) -> Result<Vec<Setting>, ConfigError> {
        let mut settings: Vec<Setting> = Vec::new();
        for (name, value) in object.0 {
            let place = self.place(name.get());
            let name: String = self.read(name.get())?;
            if let Some(first) = settings.iter().find(|setting| setting.name == name) {
                let message = format!("\"{name}\" is set twice, first at {}", first.place);
                return Err(ConfigError::at(&place, message));
            }
            settings.push(Setting { name, place, value: self.value(value, depth)? });
        }
        Ok(settings)
    }

    fn value(&self, piece: &'t RawValue, depth: usize) -> Result<Value, ConfigError> {
        let piece = piece.get();
        let place = self.place(piece);
        let is_deep = depth == MAX_DEPTH;
        let data = match piece.as_bytes().first() {
            Some(b'{' | b'[') if is_deep => {
                return Err(ConfigError::at(&place, format_args!("values are nested more than {MAX_DEPTH} deep")));
            }
            Some(b'{') => Data::Group(self.settings(self.read(piece)?, depth + 1)?),
            Some(b'[') => {
                let values: Vec<&RawValue> = self.read(piece)?;
                Data::List(values.into_iter().map(|value| self.value(value, depth + 1)).collect::<Result<_, _>>()?)
            }
            Some(b'"') => Data::Text(self.read(piece)?),
            Some(b't' | b'f') => Data::Boolean(self.read(piece)?),
            Some(b'n') => Data::Null,
            _ => match piece.parse() {
                Ok(integer) => Data::Integer(integer),
                // The grammar has been checked, so only the range can be wrong: infinity at worst.
                Err(_) => Data::Float(piece.parse().unwrap_or(f64::INFINITY)),
            },
        };
        Ok(Value { place, data })
    }
}
