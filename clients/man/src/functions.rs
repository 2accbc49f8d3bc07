//! Section 3: a page for each few functions that belong together, and links to it from the others.

use std::collections::BTreeMap;

use crate::header::{Constant, Function, Group, Header, Type};
use crate::inline::Names;
use crate::returns::{self, Failures};
use crate::roff::{Page, bold, escape, italic};

/// The pages in the order of the header: the first function of each, by which it is called, and
/// what its functions do. Those that follow it in the header, up to the next page, are on it too.
const PAGES: [(&str, &str); 28] = [
    ("shmem_version", "version of the library, and its errors in words"),
    ("sample_alloc", "allocate, keep, give back and copy samples"),
    ("shmem_shared_create", "create, open and wait for a channel of one region"),
    ("shmem_shared_read", "receive, send and allocate samples"),
    ("shmem_shared_interrupt", "end waits on a channel, look at it, close and remove it"),
    ("shmem_shared_signals", "what the values of a channel's samples are"),
    ("shmem_int_open", "open a channel in VILLASnode's layout"),
    ("shmem_int_read", "receive, send and allocate samples in VILLASnode's layout"),
    ("shmem_int_interrupt", "end waits on a channel in VILLASnode's layout, and look at it"),
    ("shmem_int_signals", "what the values of samples are in VILLASnode's layout"),
    ("shmem_int_close", "close a channel in VILLASnode's layout; size of its regions"),
    ("shmem_ring_open", "open or create a ring of messages"),
    ("shmem_ring_push", "publish messages in a ring"),
    ("shmem_ring_pop", "take messages from a ring"),
    ("shmem_ring_reserve", "make a message in place in a ring"),
    ("shmem_ring_peek", "read a message in place in a ring"),
    ("shmem_ring_available", "how many messages a ring has, and room for"),
    ("shmem_ring_at", "memory and permissions of a ring"),
    ("shmem_ring_interrupt", "end waits on a ring; its counters"),
    ("shmem_ring_close", "close and remove a ring"),
    ("shmem_endpoint_open", "open a duplex connection of two rings"),
    ("shmem_endpoint_send", "send and receive messages by an endpoint"),
    ("shmem_endpoint_available", "how many messages an endpoint has, and room for"),
    ("shmem_endpoint_interrupt", "end waits on an endpoint, close and remove it"),
    ("shmem_shared_fd", "descriptors to poll, for event loops"),
    ("shmem_segment_open", "open or create raw shared memory"),
    ("shmem_segment_data", "memory, state and permissions of a segment; close and remove it"),
    ("shmem_event_signal", "signal and wait for changes in shared memory"),
];

/// Types whose names are too common for a page.
const UNLINKED: [&str; 1] = ["pool"];

/// Columns of a prototype on a terminal of 80, within the indentation of a page.
const COLUMNS: usize = 71;

/// One page's part of the header.
struct Part<'a> {
    name: &'static str,
    what: &'static str,
    group: &'a Group,
    functions: &'a [Function],
}

/// The files of section 3, by name.
pub(crate) fn pages(header: &Header) -> BTreeMap<String, String> {
    let parts = parts(header);
    let names = Names { functions: header.functions().map(|function| function.name.as_str()).collect(), parameters: Vec::new() };
    let homes = homes(header, &parts);
    let mut files = BTreeMap::new();
    for part in &parts {
        let types: Vec<&Type> = header.types.iter().filter(|one| homes[one.name.as_str()] == part.name).collect();
        files.insert(format!("{}.3", part.name), page(part, &types, header, &parts, &names));
    }
    let functions = parts.iter().flat_map(|part| part.functions.iter().map(|function| (function.name.as_str(), part.name)));
    let types = homes.iter().filter_map(|(name, home)| Some((name.split_once(' ')?.1, *home)));
    for (name, home) in functions.chain(types).filter(|(name, _)| !UNLINKED.contains(name)) {
        files.entry(format!("{name}.3")).or_insert_with(|| format!(".so man3/{home}.3\n"));
    }
    files
}

/// The header, cut into pages. Each function and each group is on one.
fn parts(header: &Header) -> Vec<Part<'_>> {
    let mut pages = PAGES.iter().peekable();
    let mut parts = Vec::new();
    for group in &header.groups {
        let mut rest = &group.functions[..];
        while let Some(first) = rest.first() {
            let &(name, what) = pages.next_if(|(name, _)| *name == first.name).unwrap_or_else(|| {
                panic!("a page begins with {}, by the table of pages with {:?}", first.name, pages.peek().map(|(name, _)| name))
            });
            let next = pages.peek().map_or("", |(name, _)| name);
            let (functions, others) = rest.split_at(rest.iter().position(|one| one.name == next).unwrap_or(rest.len()));
            parts.push(Part { name, what, group, functions });
            rest = others;
        }
    }
    assert!(pages.peek().is_none(), "the header has no function {:?} in that place of the table of pages", pages.peek());
    parts
}

/// The page of each type: the first whose functions take or return it, or that of a type that has
/// it as a member.
fn homes<'a>(header: &'a Header, parts: &[Part]) -> BTreeMap<&'a str, &'static str> {
    let mut homes = BTreeMap::new();
    // Twice, as a type may stand before the one that has it.
    for one in header.types.iter().chain(&header.types) {
        let by_prototype =
            parts.iter().find(|part| part.functions.iter().any(|function| mentions(&function.prototype, &one.name)));
        let holder = || header.types.iter().find(|other| other.members.iter().any(|(member, _)| mentions(member, &one.name)));
        let home = by_prototype.map(|part| part.name).or_else(|| homes.get(holder()?.name.as_str()).copied());
        if let Some(home) = home {
            homes.insert(one.name.as_str(), home);
        }
    }
    for one in &header.types {
        assert!(homes.contains_key(one.name.as_str()), "no function of the header has to do with {}", one.name);
    }
    homes
}

/// Whether the whole name stands in a text; `NAME_*` stands for all that begin so.
fn mentions(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let whole =
        text.match_indices(name).any(|(at, _)| !text[..at].ends_with(is_word) && !text[at + name.len()..].starts_with(is_word));
    let by_family = || name.match_indices('_').any(|(at, _)| text.contains(&format!("{}*", &name[..=at])) && at > "SHMEM_".len());
    whole || by_family()
}

fn page(part: &Part, types: &[&Type], header: &Header, parts: &[Part], names: &Names) -> String {
    let mut page = Page::new(part.name, 3);
    page.section("NAME");
    let all: Vec<String> = part.functions.iter().map(|function| escape(&function.name)).collect();
    page.paragraph(&format!("{} \\- {}", all.join(", "), escape(part.what)), false);
    page.section("LIBRARY");
    page.raw("villas\\-shm (\\fIlibvillas_shm\\fP, \\fI\\-lvillas_shm\\fP)");
    page.section("SYNOPSIS");
    page.raw(".nf\n.B #include <villas/shmem.h>\n.PP");
    part.functions.iter().for_each(|function| page.raw(&prototype(function)));
    page.raw(".fi");
    page.section("DESCRIPTION");
    if part.group.first() == part.name {
        part.group.paragraphs.iter().enumerate().for_each(|(at, text)| page.paragraph(&names.roff(text), at > 0));
    }
    for function in part.functions {
        page.subsection(&format!("{}()", escape(&function.name)));
        let names = with_parameters(names, function);
        let comment = &function.comment;
        comment.paragraphs.iter().enumerate().for_each(|(at, text)| page.paragraph(&names.roff(text), at > 0));
        comment.parameters.iter().for_each(|(name, what)| page.item(&italic(name), &names.roff(what)));
    }
    describe_types(&mut page, types, names);
    describe_constants(&mut page, part, types, header, names);
    describe_returns(&mut page, part, names);
    page.section("SEE ALSO");
    page.raw(&see_also(part, parts));
    page.into_text()
}

fn with_parameters<'a>(names: &Names<'a>, function: &'a Function) -> Names<'a> {
    let parameters = function.comment.parameters.iter().map(|(name, _)| name.as_str()).collect();
    Names { functions: names.functions.clone(), parameters }
}

/// A prototype in lines that fit, its parameters in italics.
fn prototype(function: &Function) -> String {
    let (head, arguments) = function.prototype.split_once('(').expect("parentheses");
    let arguments: Vec<&str> = arguments.trim_end_matches(')').split(", ").collect();
    let indent =
        if head.len() + 1 + arguments.iter().map(|one| one.len() + 2).max().unwrap_or(0) <= COLUMNS { head.len() + 1 } else { 4 };
    let mut lines = vec![bold(&format!("{head}("))];
    let mut columns = head.len() + 1;
    for (at, argument) in arguments.iter().enumerate() {
        let end = if at + 1 < arguments.len() { "," } else { ");" };
        if columns + argument.len() + end.len() + 1 > COLUMNS {
            lines.push(" ".repeat(indent));
            columns = indent;
        } else if at > 0 {
            lines.last_mut().expect("a line").push(' ');
            columns += 1;
        }
        let name_at = argument.rfind([' ', '*']).map_or(0, |at| at + 1);
        let (kind, name) = if name_at == 0 { (*argument, "") } else { argument.split_at(name_at) };
        let name = if name.is_empty() { String::new() } else { italic(name) };
        *lines.last_mut().expect("a line") += &format!("{}{name}{}", bold(kind), bold(end));
        columns += argument.len() + end.len();
    }
    lines.join("\n").replace("\\fP\\fB", "")
}

fn describe_types(page: &mut Page, types: &[&Type], names: &Names) {
    if types.is_empty() {
        return;
    }
    page.section("TYPES");
    for one in types {
        page.subsection(&escape(&one.name));
        one.comment.paragraphs.iter().enumerate().for_each(|(at, text)| page.paragraph(&names.roff(text), at > 0));
        for (declaration, text) in &one.members {
            page.item(&bold(declaration), &names.roff(text));
        }
    }
}

/// The constants that the functions and types of the page name. One that nothing names is on the
/// page of the type that it is about.
fn describe_constants(page: &mut Page, part: &Part, types: &[&Type], header: &Header, names: &Names) {
    let here = words(part.functions, types.iter().copied());
    let everywhere = words(header.functions(), &header.types);
    let is_about = |constant: &Constant, one: &Type| {
        let first = constant.name.split('_').next().unwrap_or_default().to_lowercase();
        mentions(&constant.text, &one.name) || one.name == format!("struct {first}")
    };
    let belongs = |constant: &&Constant| {
        let is_unnamed = || !mentions(&everywhere, &constant.name);
        mentions(&here, &constant.name) || types.iter().any(|one| is_about(constant, one)) && is_unnamed()
    };
    let constants: Vec<_> = header.constants.iter().filter(belongs).collect();
    if constants.is_empty() {
        return;
    }
    page.section("CONSTANTS");
    for alike in constants.chunk_by(|a, b| a.text == b.text) {
        let tags: Vec<String> = alike.iter().map(|constant| bold(&constant.name)).collect();
        page.shared_item(&tags, &names.roff(&alike[0].text));
    }
}

/// What comments say.
fn words<'a>(functions: impl IntoIterator<Item = &'a Function>, types: impl IntoIterator<Item = &'a Type>) -> String {
    let functions = functions.into_iter().map(|function| function.comment.words());
    functions.chain(types.into_iter().map(Type::words)).collect::<Vec<_>>().join(" ")
}

fn describe_returns(page: &mut Page, part: &Part, names: &Names) {
    let alone = part.functions.len() == 1;
    let all: Vec<_> = part.functions.iter().map(|function| (function, returns::parse(&function.comment.returns))).collect();
    page.section("RETURN VALUE");
    for alike in all.chunk_by(|(_, (a, _)), (_, (b, _))| a == b) {
        let (first, (value, _)) = &alike[0];
        let text = with_parameters(names, first).roff(value);
        let tags: Vec<String> = alike.iter().map(|(function, _)| format!("{}()", bold(&function.name))).collect();
        if alone { page.paragraph(&text, false) } else { page.shared_item(&tags, &text) }
    }
    if all.iter().all(|(_, (_, failures))| failures.is_none()) {
        return;
    }
    page.section("ERRORS");
    for (function, (_, failures)) in &all {
        let Some(Failures { plain, listed }) = failures else { continue };
        let names = with_parameters(names, function);
        if !alone {
            page.subsection(&format!("{}()", escape(&function.name)));
        }
        if !plain.is_empty() {
            page.paragraph(&names.roff(plain), false);
        }
        for (tag, text) in listed {
            page.item(&bold(tag), &names.roff(text));
        }
    }
}

/// The overview, and the other pages of the group.
fn see_also(part: &Part, parts: &[Part]) -> String {
    let others = parts.iter().filter(|other| other.name != part.name && other.group.first() == part.group.first());
    let mut lines: Vec<String> = others.map(|other| format!(".BR {} (3)", escape(other.name))).collect();
    lines.push(".BR shmem (7)".into());
    lines.join(",\n")
}
