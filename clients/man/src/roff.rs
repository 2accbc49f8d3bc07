//! Text as man(7) wants it.

/// The longest line of a page's source that mandoc takes without a word. Tags and code may be longer.
const COLUMNS: usize = 78;

/// The characters of a text, so that they are printed as they are.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\e"),
            '-' => escaped.push_str("\\-"),
            '\'' => escaped.push_str("\\(aq"),
            '`' => escaped.push_str("\\(ga"),
            '^' => escaped.push_str("\\(ha"),
            '~' => escaped.push_str("\\(ti"),
            '"' => escaped.push_str("\\(dq"),
            c => push_ascii(&mut escaped, c),
        }
    }
    escaped
}

/// A character by its number if it is not ASCII: not every reader takes UTF-8.
fn push_ascii(text: &mut String, c: char) {
    if c.is_ascii() {
        text.push(c);
    } else {
        text.push_str(&format!("\\[u{:04X}]", u32::from(c)));
    }
}

pub(crate) fn ascii(text: &str) -> String {
    let mut kept = String::new();
    text.chars().for_each(|c| push_ascii(&mut kept, c));
    kept
}

pub(crate) fn bold(text: &str) -> String {
    format!("\\fB{}\\fP", escape(text))
}

pub(crate) fn italic(text: &str) -> String {
    format!("\\fI{}\\fP", escape(text))
}

/// A page under construction.
#[derive(Default)]
pub(crate) struct Page {
    text: String,
}

impl Page {
    /// A page that begins with its title line. No name in it is cut in two, and no line is
    /// stretched.
    pub(crate) fn new(name: &str, section: u8) -> Self {
        let version = concat!("villas\\-shm ", env!("CARGO_PKG_VERSION"));
        let title = escape(&name.to_uppercase());
        Self { text: format!(".TH {title} {section} \"{}\" \"{version}\" \"villas\\-shm\"\n.nh\n.ad l\n", crate::release_date()) }
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// Lines of roff as they are.
    pub(crate) fn raw(&mut self, lines: &str) {
        self.text.push_str(lines);
        if !lines.ends_with('\n') {
            self.text.push('\n');
        }
    }

    /// A heading of a section.
    pub(crate) fn section(&mut self, title: &str) {
        self.raw(&format!(".SH {}", escape(title)));
    }

    /// A heading below that.
    pub(crate) fn subsection(&mut self, roff: &str) {
        self.raw(&format!(".SS {roff}"));
    }

    /// A paragraph of roff; `follows` if one is right before it.
    pub(crate) fn paragraph(&mut self, roff: &str, follows: bool) {
        if follows {
            self.raw(".PP");
        }
        self.raw(&filled(roff));
    }

    /// An item of a list: a tag, and what it means.
    pub(crate) fn item(&mut self, tag: &str, roff: &str) {
        self.raw(&format!(".TP\n{}", guarded(tag)));
        if !roff.is_empty() {
            self.raw(&filled(roff));
        }
    }

    /// An item that several tags have in common.
    pub(crate) fn shared_item(&mut self, tags: &[String], roff: &str) {
        let (last, others) = tags.split_last().expect("a tag at least");
        match others {
            [] => self.item(last, roff),
            [first, more @ ..] => {
                self.item(first, "");
                more.iter().chain([last]).for_each(|tag| self.raw(&format!(".TQ\n{}", guarded(tag))));
                self.raw(&filled(roff));
            }
        }
    }

    /// Lines that stay as they are.
    pub(crate) fn code(&mut self, lines: &str) {
        self.raw(".EX");
        for line in lines.lines() {
            self.raw(&guarded(&escape(line)));
        }
        self.raw(".EE");
    }
}

/// A line that is not taken for a request.
pub(crate) fn guarded(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}

/// A paragraph in lines, of which each begins with a sentence or is the rest of one.
pub(crate) fn filled(roff: &str) -> String {
    let mut lines = vec![String::new()];
    for word in roff.split_whitespace() {
        let line = lines.last_mut().expect("one at least");
        let ends_sentence = line.ends_with('.') && word.starts_with(|c: char| !c.is_lowercase());
        if line.is_empty() {
            line.push_str(&guarded(word));
        } else if ends_sentence || line.len() + 1 + word.len() > COLUMNS {
            lines.push(guarded(word));
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_of_a_text_is_taken_for_a_command() {
        assert_eq!(escape("a-b \\ 'c' 2^20 \"→\""), "a\\-b \\e \\(aqc\\(aq 2\\(ha20 \\(dq\\[u2192]\\(dq");
        assert_eq!(filled(".so is no request"), "\\&.so is no request");
    }

    #[test]
    fn a_sentence_begins_a_line_and_no_line_is_longer_than_mandoc_wants() {
        let text = filled(&format!("One ends. Another, {}goes on.", "which is long, ".repeat(9)));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "One ends.");
        assert!(lines.len() > 2 && lines.iter().all(|line| line.len() <= COLUMNS));
    }
}
