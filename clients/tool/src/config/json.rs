//! The same tree from JSON.

use std::rc::Rc;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::value::{ConfigError, Data, Place, Setting, Value};

/// JSON as the standard has it: what else the parser could take is for JavaScript.
const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Parses a whole file.
pub(super) fn parse(file: &str, text: &str) -> Result<Value, ConfigError> {
    let tree = Tree { file: file.into(), line_feeds: memchr::memchr_iter(b'\n', text.as_bytes()).collect() };
    let result = parse_to_ast(text, &CollectOptions::default(), &STRICT)
        .map_err(|error| ConfigError::at(&tree.place(error.range().start), error.kind()))?;
    match result.value {
        Some(value) => tree.value(value),
        None => Err(ConfigError::in_file(file, "the file is not a JSON object: it is empty")),
    }
}

struct Tree {
    file: Rc<str>,
    /// Where the lines end. Looked up, not counted anew: a file may list 65 536 signals.
    line_feeds: Vec<usize>,
}

impl Tree {
    /// The line in which byte `at` stands. Counted here also where the parser names one: to it a carriage return alone ends a line.
    fn place(&self, at: usize) -> Place {
        Place { file: Rc::clone(&self.file), line: 1 + self.line_feeds.partition_point(|&end| end < at) }
    }

    fn settings(&self, object: ast::Object<'_>) -> Result<Vec<Setting>, ConfigError> {
        let mut settings: Vec<Setting> = Vec::new();
        for property in object.properties {
            let place = self.place(property.start());
            let name = property.name.into_string();
            if let Some(first) = settings.iter().find(|setting| setting.name == name) {
                let message = format!("\"{name}\" is set twice, first at {}", first.place);
                return Err(ConfigError::at(&place, message));
            }
            settings.push(Setting { name, place, value: self.value(property.value)? });
        }
        Ok(settings)
    }

    fn value(&self, value: ast::Value<'_>) -> Result<Value, ConfigError> {
        let place = self.place(value.start());
        let data = match value {
            ast::Value::Object(object) => Data::Group(self.settings(object)?),
            ast::Value::Array(array) => {
                Data::List(array.elements.into_iter().map(|value| self.value(value)).collect::<Result<_, _>>()?)
            }
            ast::Value::StringLit(text) => Data::Text(text.value.into_owned()),
            ast::Value::NumberLit(number) => match number.value.parse() {
                Ok(integer) => Data::Integer(integer),
                // The grammar has been checked, so that only the range is left: infinity at worst.
                Err(_) => Data::Float(number.value.parse().unwrap_or(f64::INFINITY)),
            },
            ast::Value::BooleanLit(boolean) => Data::Boolean(boolean.value),
            ast::Value::NullKeyword(_) => Data::Null,
        };
        Ok(Value { place, data })
    }
}
