//! Names within sentences, as a man page shows them.

use std::collections::BTreeSet;

use crate::roff::{bold, escape, italic};

/// What the names in a sentence mean.
#[derive(Default)]
pub(crate) struct Names<'a> {
    /// They are bold, with parentheses behind.
    pub(crate) functions: BTreeSet<&'a str>,
    /// They are in italics where they are quoted.
    pub(crate) parameters: Vec<&'a str>,
}

impl Names<'_> {
    /// A sentence as roff, with text in backticks as bold.
    pub(crate) fn roff(&self, text: &str) -> String {
        // What stands above in the header is in the overview.
        let text = text.replace(", above", " in shmem(7)");
        let mut parts = text.split('`');
        let mut roff = self.prose(parts.next().unwrap_or_default());
        while let Some(quoted) = parts.next() {
            let after = parts.next().unwrap_or_else(|| panic!("a backtick without another: {text}"));
            roff += &self.quoted(quoted);
            roff += &self.prose(after);
        }
        roff
    }

    fn quoted(&self, quoted: &str) -> String {
        if self.functions.contains(quoted) {
            format!("{}()", bold(quoted))
        } else if self.parameters.contains(&quoted) {
            italic(quoted)
        } else if let Some((page, section)) = reference(quoted) {
            format!("{}({section})", bold(page))
        } else {
            bold(quoted)
        }
    }

    /// A text in which functions and pages are found by their names.
    fn prose(&self, text: &str) -> String {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut roff = String::new();
        let mut rest = text;
        while let Some(begin) = rest.find(is_word) {
            roff += &escape(&rest[..begin]);
            rest = &rest[begin..];
            let (word, after) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
            let has_section = after.get(..3).is_some_and(|next| reference(&format!("{word}{next}")).is_some());
            if self.functions.contains(word) {
                roff += &bold(word);
                roff += if after.starts_with('(') { "" } else { "()" };
            } else if has_section {
                roff += &bold(word);
            } else {
                roff += &escape(word);
            }
            rest = after;
        }
        roff + &escape(rest)
    }
}

/// The name and the section of a page, as in poll(2).
fn reference(text: &str) -> Option<(&str, &str)> {
    let (page, section) = text.strip_suffix(')')?.split_once('(')?;
    (section.len() == 1 && section.starts_with(|c: char| ('1'..='8').contains(&c))).then_some((page, section))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_parameters_and_pages_look_as_in_other_man_pages() {
        let names = Names { functions: BTreeSet::from(["push"]), parameters: vec!["count"] };
        assert_eq!(names.roff("as `push` or push(): -1"), "as \\fBpush\\fP() or \\fBpush\\fP(): \\-1");
        assert_eq!(names.roff("`count` of `N`, poll(2)"), "\\fIcount\\fP of \\fBN\\fP, \\fBpoll\\fP(2)");
        assert_eq!(names.roff("(Names, above)"), "(Names in \\fBshmem\\fP(7))");
    }
}
