//! What the C header says: its comments, and what they are about.

/// A comment of the header, without its frame.
#[derive(Debug, Default)]
pub(crate) struct Comment {
    /// What it describes.
    pub(crate) paragraphs: Vec<String>,
    /// Of a function: names of parameters, and what they are.
    pub(crate) parameters: Vec<(String, String)>,
    /// Of a function.
    pub(crate) returns: String,
}

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Without the semicolon, in one line.
    pub(crate) prototype: String,
    pub(crate) comment: Comment,
}

/// A struct or union.
#[derive(Debug)]
pub(crate) struct Type {
    /// As in `struct shmem_conf`.
    pub(crate) name: String,
    pub(crate) comment: Comment,
    /// Declarations, and what they are; none of an opaque type.
    pub(crate) members: Vec<(String, String)>,
}

#[derive(Debug)]
pub(crate) struct Constant {
    /// Of a macro with its arguments.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// A group of functions.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) paragraphs: Vec<String>,
    pub(crate) functions: Vec<Function>,
}

#[derive(Debug, Default)]
pub(crate) struct Header {
    /// The lines of the comment at its head.
    pub(crate) head: Vec<String>,
    pub(crate) constants: Vec<Constant>,
    pub(crate) types: Vec<Type>,
    pub(crate) groups: Vec<Group>,
}

impl Header {
    pub(crate) fn parse(text: &str) -> Self {
        let mut header = Self::default();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if !line.starts_with("/*") {
                continue;
            }
            let mut comment = vec![line];
            while !comment.last().is_some_and(|line| line.ends_with("*/")) {
                comment.push(lines.next().expect("a comment ends"));
            }
            let comment = without_frame(&comment);
            let Some(next) = lines.peek().copied() else { break };
            if header.head.is_empty() {
                header.head = comment;
            } else if let Some((_, rule)) = comment[0].split_once(" ---") {
                assert!(rule.trim_matches('-').is_empty(), "a rule: {rule}");
                header.groups.push(Group { paragraphs: paragraphs(&comment[1..]), functions: Vec::new() });
            } else if next.starts_with("#define ") {
                while let Some(line) = lines.next_if(|line| line.starts_with("#define ")) {
                    let definition = line.trim_start_matches("#define ");
                    let end = definition.find([' ', ')']).expect("a value");
                    let name = definition[..=end].trim_end().to_owned();
                    header.constants.push(Constant { name, text: paragraphs(&comment).join(" ") });
                    let mut continues = line.ends_with('\\');
                    while continues {
                        continues = lines.next().expect("it continues").ends_with('\\');
                    }
                }
            } else if next.starts_with(['s', 'u']) && next.ends_with(" {") || next.starts_with("struct ") && !next.contains('(') {
                let name = lines.next().expect("peeked at").trim_end_matches([' ', '{', ';']).to_owned();
                let body =
                    if next.ends_with('{') { lines.by_ref().take_while(|&line| line != "};").collect() } else { Vec::new() };
                header.types.push(Type { name, comment: Comment::of(&comment), members: members(&body) });
            } else {
                let mut prototype = String::new();
                while !prototype.ends_with(';') {
                    prototype = format!("{prototype} {}", lines.next().expect("a declaration ends").trim());
                }
                let prototype = prototype.trim_matches([' ', ';']).to_owned();
                let head = prototype.split('(').next().expect("a first part");
                let name = head.rsplit([' ', '*']).next().expect("a last word").to_owned();
                let group = header.groups.last_mut().unwrap_or_else(|| panic!("{name} stands in no group"));
                group.functions.push(Function { name, prototype, comment: Comment::of(&comment) });
            }
        }
        header
    }

    pub(crate) fn functions(&self) -> impl Iterator<Item = &Function> {
        self.groups.iter().flat_map(|group| &group.functions)
    }
}

impl Comment {
    fn of(lines: &[String]) -> Self {
        let mut comment = Self::default();
        let mut described = Vec::new();
        let mut lines = lines.iter().peekable();
        while let Some(line) = lines.next() {
            let Some(tagged) = line.strip_prefix('@') else {
                described.push(line.clone());
                continue;
            };
            let mut text = tagged.to_owned();
            while let Some(more) = lines.next_if(|line| line.starts_with("  ")) {
                text = format!("{text} {}", more.trim());
            }
            match text.split_once(' ').expect("a tag and its text") {
                ("param", rest) => {
                    let (name, what) = rest.split_once(' ').expect("a parameter and what it is");
                    comment.parameters.push((name.to_owned(), what.trim().to_owned()));
                }
                ("return", rest) => comment.returns = rest.to_owned(),
                (tag, _) => panic!("@{tag} is not known here"),
            }
        }
        comment.paragraphs = paragraphs(&described);
        comment
    }

    /// All its words.
    pub(crate) fn words(&self) -> String {
        let parameters = self.parameters.iter().map(|(_, text)| text.as_str());
        let all = self.paragraphs.iter().map(String::as_str).chain(parameters).chain([self.returns.as_str()]);
        all.collect::<Vec<_>>().join(" ")
    }
}

impl Type {
    /// All its words.
    pub(crate) fn words(&self) -> String {
        self.members.iter().fold(self.comment.words(), |all, (declaration, text)| format!("{all} {declaration} {text}"))
    }
}

impl Group {
    pub(crate) fn first(&self) -> &str {
        &self.functions.first().expect("a group has functions").name
    }
}

fn without_frame(lines: &[&str]) -> Vec<String> {
    let strip = |line: &&str| {
        let line = line.trim_end_matches("*/").trim_start_matches('/').trim_start_matches([' ']);
        let line = line.trim_start_matches('*');
        line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned()
    };
    let mut lines: Vec<String> = lines.iter().map(strip).collect();
    let is_blank = |line: &String| line.is_empty();
    while lines.last().is_some_and(is_blank) {
        lines.pop();
    }
    let blank = lines.iter().take_while(|line| is_blank(line)).count();
    lines.drain(..blank);
    lines
}

/// What blank lines part.
pub(crate) fn paragraphs(lines: &[String]) -> Vec<String> {
    let parts = lines.split(|line| line.trim().is_empty()).filter(|part| !part.is_empty());
    parts.map(|part| part.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")).collect()
}

/// The members that a program may use. One of a struct within has the name of that in front.
fn members(body: &[&str]) -> Vec<(String, String)> {
    let mut members: Vec<(String, String)> = Vec::new();
    let mut inner = None;
    let mut comment: Vec<&str> = Vec::new();
    let mut in_comment = false;
    for line in body.iter().map(|line| line.trim()) {
        if in_comment || line.starts_with("/*") {
            in_comment = !line.ends_with("*/");
            comment.push(line);
        } else if line == "struct {" {
            inner = Some(members.len());
        } else if let Some(name) = line.strip_prefix("} ") {
            let name = name.trim_end_matches(';');
            for (declaration, _) in &mut members[inner.take().expect("a struct began")..] {
                let at = declaration.rfind([' ', '*']).expect("a type and a name") + 1;
                declaration.insert_str(at, &format!("{name}."));
            }
        } else {
            let text = if comment.is_empty() { String::new() } else { paragraphs(&without_frame(&comment)).join(" ") };
            comment.clear();
            if text != "Reserved for the library." {
                members.push((line.trim_start_matches("__extension__ ").to_owned(), text));
            }
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
/*
 * head.h: what it is for.
 */
#include <a.h>

/** A number: `N_*`. */
#define N_ONE 1
#define N_OF(n) ((n) + \\
  1)

/** A thing. */
struct thing {
  /** Its size. */
  int size;
  struct {
    /**
     * In two
     * lines.
     */
    double *x;
  } at;
  /** Reserved for the library. */
  int _r;
};

/** Another. */
struct hidden;

/* Things -----
 *
 * They are there.
 */

/**
 * Makes one.
 *
 * @param count how many,
 *              at least
 * @return it. `NULL`: none
 *
 * Slow.
 */
struct thing *make(int count,
                   int other);
";

    #[test]
    fn each_part_of_a_header_is_found() {
        let header = Header::parse(TEXT);
        assert_eq!(header.head, ["head.h: what it is for."]);
        let constants: Vec<&str> = header.constants.iter().map(|constant| constant.name.as_str()).collect();
        assert_eq!(constants, ["N_ONE", "N_OF(n)"]);
        let [thing, hidden] = &header.types[..] else { panic!("two types") };
        assert_eq!(hidden.name, "struct hidden");
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(thing.members, [pair("int size;", "Its size."), pair("double *at.x;", "In two lines.")]);
        let [Group { paragraphs, functions }] = &header.groups[..] else { panic!("a group") };
        assert_eq!(paragraphs, &["They are there."]);
        assert_eq!(functions[0].name, "make");
        assert_eq!(functions[0].prototype, "struct thing *make(int count, int other)");
        assert_eq!(functions[0].comment.paragraphs, ["Makes one.", "Slow."]);
        assert_eq!(functions[0].comment.parameters, [pair("count", "how many, at least")]);
        assert_eq!(functions[0].comment.returns, "it. `NULL`: none");
    }
}
