//! The syntax of libconfig, VILLASnode's usual configuration language.
//!
//! ```text
//! # comment    // comment    /* comment */
//! @include "other.conf"
//! name = value;              a ':' for the '=', a ',' for the ';', or nothing there
//! scalar: true  12  0x1F  0b11  0o17  99L  1.5e3  "text" "in pieces \x41"
//! [ 1, 2 ]                   an array: scalars of one type
//! ( 1, "a", { b = 2 } )      a list: anything
//! { name = value }           a group: settings
//! ```
//!
//! Written for this tool because it has to name the file and the line of each setting, through
//! includes: `docs/decisions.md` says what was compared.

use std::rc::Rc;

use super::include::{Origin, with_variables};
use super::text_of;
use super::value::{ConfigError, Data, Place, Setting, Value};

/// Values nested deeper than this are an error, so that no file can exhaust the stack.
const MAX_DEPTH: usize = 100;

/// Parses a whole file; `origin` says where to search for the files that it includes.
pub(super) fn parse(file: &str, text: &[u8], origin: &Origin) -> Result<Value, ConfigError> {
    let mut settings = Vec::new();
    Parser::new(file, text, origin).file(&mut settings)?;
    Ok(Value { place: Place { file: file.into(), line: 1 }, data: Data::Group(settings) })
}

struct Parser<'a> {
    file: Rc<str>,
    text: &'a [u8],
    /// Position of the next byte; in range 0 ..= `text.len()`.
    at: usize,
    line: usize,
    origin: &'a Origin,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn new(file: &str, text: &'a [u8], origin: &'a Origin) -> Self {
        Self { file: file.into(), text, at: 0, line: 1, origin, depth: 0 }
    }

    fn file(mut self, settings: &mut Vec<Setting>) -> Result<(), ConfigError> {
        self.settings(settings)?;
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("a setting")),
        }
    }

    // Bytes

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    /// Skips `count` bytes, which must be there.
    fn skip(&mut self, count: usize) {
        let passed = &self.text[self.at..self.at + count];
        self.line += passed.iter().filter(|&&byte| byte == b'\n').count();
        self.at += count;
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.skip(1);
        }
        found
    }

    /// The longest piece, possibly empty, of bytes that `belongs` accepts.
    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let len = rest.iter().take_while(|&&byte| belongs(byte)).count();
        self.skip(len);
        &rest[..len]
    }

    /// Blanks and comments.
    fn skip_space(&mut self) -> Result<(), ConfigError> {
        loop {
            self.take_while(|byte| byte.is_ascii_whitespace() || byte == b'\x0b');
            if self.rest().starts_with(b"/*") {
                let place = self.place();
                let Some(len) = memchr::memmem::find(&self.rest()[2..], b"*/") else {
                    return Err(ConfigError::at(&place, "this comment has no end"));
                };
                self.skip(len + 4);
            } else if self.peek() == Some(b'#') || self.rest().starts_with(b"//") {
                self.take_while(|byte| byte != b'\n');
            } else {
                return Ok(());
            }
        }
    }

    // Messages

    fn place(&self) -> Place {
        Place { file: Rc::clone(&self.file), line: self.line }
    }

    fn error(&self, message: impl std::fmt::Display) -> ConfigError {
        ConfigError::at(&self.place(), message)
    }

    fn unexpected(&self, expected: &str) -> ConfigError {
        match self.peek() {
            None => self.error(format_args!("the file ends where {expected} is expected")),
            Some(byte) => self.error(format_args!("'{}' stands where {expected} is expected", byte.escape_ascii())),
        }
    }

    // Grammar

    /// Settings up to something that cannot begin one.
    fn settings(&mut self, settings: &mut Vec<Setting>) -> Result<(), ConfigError> {
        loop {
            self.skip_space()?;
            let place = self.place();
            if self.rest().starts_with(b"@include") {
                self.include(settings)?;
                continue;
            }
            if !self.peek().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'*') {
                return Ok(());
            }
            let name = self.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'-' | b'_'));
            let name = String::from_utf8_lossy(name).into_owned();
            self.skip_space()?;
            if !self.accept(b'=') && !self.accept(b':') {
                return Err(self.unexpected(&format!("the '=' after \"{name}\"")));
            }
            let value = self.value()?;
            if let Some(first) = settings.iter().find(|setting| setting.name == name) {
                let message = format!("\"{name}\" is set twice, first at {}", first.place);
                return Err(ConfigError::at(&place, message));
            }
            settings.push(Setting { name, place, value });
            self.skip_space()?;
            let _ = self.accept(b';') || self.accept(b',');
        }
    }

    /// The settings of other files, as if they stood here.
    fn include(&mut self, settings: &mut Vec<Setting>) -> Result<(), ConfigError> {
        self.skip(b"@include".len());
        self.take_while(|byte| matches!(byte, b' ' | b'\t'));
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("the name of the file to include, in quotes"));
        }
        let place = self.place();
        let pattern = with_variables(&self.string()?, &place)?;
        for (path, text) in self.origin.files(&pattern, &place)? {
            let name = path.display().to_string();
            let text = text_of(&name, &text)?;
            Parser::new(&name, text, &self.origin.inner(&path)).file(settings)?;
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Value, ConfigError> {
        self.skip_space()?;
        let place = self.place();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(format_args!("values are nested more than {MAX_DEPTH} deep")));
        }
        let data = match self.peek() {
            Some(b'{') => self.group()?,
            Some(b'(') => Data::List(self.elements(b')')?),
            Some(b'[') => self.array()?,
            Some(b'"') => Data::Text(self.strings()?),
            Some(b'+' | b'-' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') => self.word()?,
            _ => return Err(self.unexpected("a value")),
        };
        self.depth -= 1;
        Ok(Value { place, data })
    }

    fn group(&mut self) -> Result<Data, ConfigError> {
        self.skip(1);
        let mut settings = Vec::new();
        self.settings(&mut settings)?;
        if self.accept(b'}') { Ok(Data::Group(settings)) } else { Err(self.unexpected("a setting or '}'")) }
    }

    fn array(&mut self) -> Result<Data, ConfigError> {
        let elements = self.elements(b']')?;
        for element in &elements {
            let scalar = !matches!(element.data, Data::Group(_) | Data::List(_));
            if !scalar || std::mem::discriminant(&element.data) != std::mem::discriminant(&elements[0].data) {
                let message = "an array holds scalars of one type; a list, in parentheses, holds anything";
                return Err(ConfigError::at(&element.place, message));
            }
        }
        Ok(Data::List(elements))
    }

    fn elements(&mut self, close: u8) -> Result<Vec<Value>, ConfigError> {
        self.skip(1);
        let mut elements = Vec::new();
        loop {
            self.skip_space()?;
            if self.accept(close) {
                return Ok(elements);
            }
            elements.push(self.value()?);
            self.skip_space()?;
            if !self.accept(b',') && self.peek() != Some(close) {
                return Err(self.unexpected(&format!("',' or '{}'", char::from(close))));
            }
        }
    }

    /// Adjacent strings are one string.
    fn strings(&mut self) -> Result<String, ConfigError> {
        let mut all = self.string()?;
        loop {
            self.skip_space()?;
            if self.peek() != Some(b'"') {
                return Ok(all);
            }
            all += &self.string()?;
        }
    }

    fn string(&mut self) -> Result<String, ConfigError> {
        let place = self.place();
        let mut bytes = Vec::new();
        self.skip(1);
        loop {
            bytes.extend_from_slice(self.take_while(|byte| byte != b'"' && byte != b'\\'));
            match self.peek() {
                Some(b'"') => break self.skip(1),
                Some(_) => self.escape(&mut bytes),
                None => return Err(ConfigError::at(&place, "this string has no end")),
            }
        }
        String::from_utf8(bytes).map_err(|_| ConfigError::at(&place, "this string is not UTF-8"))
    }

    /// Reads an escape sequence; an unknown backslash stands for itself.
    fn escape(&mut self, bytes: &mut Vec<u8>) {
        let byte = match self.rest() {
            [_, b'a', ..] => b'\x07',
            [_, b'b', ..] => b'\x08',
            [_, b'f', ..] => b'\x0c',
            [_, b'n', ..] => b'\n',
            [_, b'r', ..] => b'\r',
            [_, b't', ..] => b'\t',
            [_, b'v', ..] => b'\x0b',
            [_, byte @ (b'"' | b'\\'), ..] => *byte,
            [_, b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
                bytes.push(digit(*high) << 4 | digit(*low));
                return self.skip(4);
            }
            _ => {
                bytes.push(b'\\');
                return self.skip(1);
            }
        };
        bytes.push(byte);
        self.skip(2);
    }

    /// A number, or true or false in any case.
    fn word(&mut self) -> Result<Data, ConfigError> {
        let word = self.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_'));
        let word = String::from_utf8_lossy(word);
        if word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false") {
            return Ok(Data::Boolean(word.len() == 4));
        }
        let digits = word.strip_suffix("LL").or(word.strip_suffix('L')).unwrap_or(&word);
        let radix = match digits.get(..2) {
            Some("0x" | "0X") => 16,
            Some("0b" | "0B") => 2,
            Some("0o" | "0O" | "0q" | "0Q") => 8,
            _ => 10,
        };
        let integer = match radix {
            10 => digits.parse().ok(),
            // All 64 bits can be given; no sign can stand behind the prefix.
            _ if digits[2..].starts_with(['+', '-']) => None,
            _ => u64::from_str_radix(&digits[2..], radix).ok().map(|bits| bits as i64),
        };
        if let Some(integer) = integer {
            return Ok(Data::Integer(integer));
        }
        let is_float = radix == 10 && digits.len() == word.len() && word.contains(['.', 'e', 'E']);
        match word.parse::<f64>() {
            Ok(float) if is_float && float.is_finite() => Ok(Data::Float(float)),
            _ => Err(self.error(format_args!("\"{word}\" is not a value, or too large; strings stand in quotes"))),
        }
    }
}

#[cfg(test)]
#[path = "libconfig_tests.rs"]
mod tests;
