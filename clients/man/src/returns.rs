//! What a function returns, and when it fails: the sentence of the header, taken apart.

/// When a function fails.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failures {
    /// A sentence before the list, or instead of it; may be empty.
    pub(crate) plain: String,
    /// Names of errors, and when they come.
    pub(crate) listed: Vec<(String, String)>,
}

/// Splits a text such as "0. -1: `EINVAL` the name; `ENOENT` no such object" into what a function
/// returns, and its failures.
pub(crate) fn parse(text: &str) -> (String, Option<Failures>) {
    let Some((at, mark)) = failure(text) else { return (sentence(text), None) };
    let (value, rest) = (text[..at].trim_end(), &text[at + mark.len()..]);
    let colon = rest.find(':').expect("what fails stands behind a colon");
    let (and, list) = (rest[..colon].trim_start_matches(','), rest[colon + 1..].trim());
    let (lead, list) = match list.split_once(": ") {
        Some((lead, list)) if !lead.contains('`') => (format!(": {lead}"), list),
        _ => (String::new(), list),
    };
    let failed = if and.is_empty() { format!("{mark}{lead}") } else { format!("{mark},{and}{lead}") };
    let value = format!("{} {failed}: see ERRORS.", sentence(value));
    (value.trim_start().to_owned(), Some(failures(list)))
}

/// Where the part on failures begins, and its first word.
fn failure(text: &str) -> Option<(usize, &'static str)> {
    let begins = |mark: &'static str| {
        let found = text.match_indices(mark).filter(|&(at, _)| at == 0 || text[..at].ends_with(". "));
        found.filter(|&(at, _)| text[at + mark.len()..].starts_with([':', ','])).last().map(|(at, _)| (at, mark))
    };
    begins("-1").or_else(|| begins("`NULL`")).or_else(|| begins("0").filter(|(at, _)| text[*at..].starts_with("0: `E")))
}

fn failures(list: &str) -> Failures {
    let mut plain = String::new();
    let mut listed: Vec<(String, String)> = Vec::new();
    for part in list.split("; ").map(|part| part.trim_end_matches(['.', ';'])) {
        let (tags, text) = tags(part);
        if !tags.is_empty() {
            let text = if text.is_empty() && tags == "ETIMEDOUT" { "the time is over" } else { text };
            assert!(!text.is_empty(), "{part}: when does it come?");
            listed.push((tags, text.to_owned()));
        } else if let Some(tags) = part.strip_prefix("a handle error (").and_then(|rest| rest.strip_suffix(')')) {
            listed.push((tags.replace('`', ""), "a handle error: see ERRORS in shmem(7)".into()));
        } else if let Some(text) = part.strip_prefix("else ").or_else(|| part.strip_prefix("others ")) {
            listed.push(("others".into(), text.into()));
        } else if let Some((_, text)) = listed.last_mut() {
            *text = format!("{text}; {part}");
        } else {
            plain = sentence(part);
        }
    }
    Failures { plain, listed }
}

/// The names of errors that a part begins with, as in "`EMFILE`, `ENOMEM`" or "`EPIPE` and
/// `ESTALE`", and the rest.
fn tags(part: &str) -> (String, &str) {
    let mut names: Vec<&str> = Vec::new();
    let mut rest = part;
    loop {
        let next = if names.is_empty() { Some(rest) } else { rest.strip_prefix(", ").or_else(|| rest.strip_prefix(" and ")) };
        let quoted = next.and_then(|next| next.strip_prefix('`')).and_then(|next| next.split_once('`'));
        let Some((name, after)) = quoted.filter(|(name, _)| name.starts_with('E')) else { break };
        names.push(name);
        rest = after;
    }
    (names.join(", "), rest.trim_start())
}

/// With a capital letter at its beginning and a full stop at its end.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return String::new() };
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Vec<(String, String)> {
        parse(text).1.expect("it fails").listed
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(tag, text)| (tag.into(), text.into())).collect()
    }

    #[test]
    fn a_value_and_a_list_of_errors_are_told_apart() {
        let (value, failures) =
            parse("1: alive. 0: it died. -1: `EINVAL` name; nothing is changed; `EACCES` and `EPERM` forbidden; else as `f`");
        assert_eq!(value, "1: alive. 0: it died. -1: see ERRORS.");
        let wanted = [("EINVAL", "name; nothing is changed"), ("EACCES, EPERM", "forbidden"), ("others", "as `f`")];
        assert_eq!(failures.expect("it fails").listed, pairs(&wanted));
    }

    #[test]
    fn what_else_a_failure_means_stays_with_the_value() {
        assert_eq!(parse("0. -1, and nothing is changed: `EPERM` no").0, "0. -1, and nothing is changed: see ERRORS.");
        assert_eq!(parse("how many. -1: none was sent: `EPIPE` gone").0, "How many. -1: none was sent: see ERRORS.");
        assert_eq!(listed("how many. -1: none was sent: `EPIPE` gone"), pairs(&[("EPIPE", "gone")]));
        assert_eq!(
            parse("the end. `NULL`, and `*fd` unchanged: `ENOMEM` no memory").0,
            "The end. `NULL`, and `*fd` unchanged: see ERRORS."
        );
    }

    #[test]
    fn a_reference_to_another_function_is_no_list() {
        let (value, failures) = parse("0. -1: as `f`");
        assert_eq!(value, "0. -1: see ERRORS.");
        assert_eq!(failures, Some(Failures { plain: "As `f`.".into(), listed: Vec::new() }));
        assert_eq!(parse("as `f`"), ("As `f`.".into(), None));
    }
}
