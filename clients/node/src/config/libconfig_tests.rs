//! What the parser accepts, and its messages for what it rejects.

use std::path::Path;

use super::*;

fn settings(text: &str) -> Result<Vec<Setting>, String> {
    parse("test.conf", text.as_bytes(), &Origin::of(Path::new("test.conf"))).map_err(|error| error.to_string()).map(group)
}

fn group(value: Value) -> Vec<Setting> {
    match value.data {
        Data::Group(settings) => settings,
        other => panic!("{other:?}"),
    }
}

/// A tree without its places, in a short form.
fn show(data: &Data) -> String {
    match data {
        Data::Group(list) => format!("{{{}}}", show_settings(list)),
        Data::List(list) => format!("[{}]", list.iter().map(|value| show(&value.data)).collect::<Vec<_>>().join(" ")),
        Data::Text(text) => format!("{text:?}"),
        Data::Integer(value) => value.to_string(),
        Data::Float(value) => format!("{value:?}"),
        Data::Boolean(value) => value.to_string(),
        Data::Null => "null".into(),
    }
}

fn show_settings(list: &[Setting]) -> String {
    list.iter().map(|setting| format!("{}={}", setting.name, show(&setting.value.data))).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn same(text: &str, tree: &str) {
    assert_eq!(settings(text).map(|list| show_settings(&list)), Ok(tree.into()), "{text}");
}

#[track_caller]
fn refused(text: &str, message: &str) {
    let error = settings(text).map(|list| show_settings(&list)).unwrap_err();
    assert!(error.contains(message), "{text}: {error}");
}

#[test]
fn settings_end_with_a_semicolon_a_comma_or_nothing() {
    same("a = 1; b: 2, c = 3\nd = 4", "a=1 b=2 c=3 d=4");
    same("n = { a = 1, b = { c = 2 }; d = 3 }", "n={a=1 b={c=2} d=3}");
    same("", "");
    same("n = {}; l = (); a = []", "n={} l=[] a=[]");
}

#[test]
fn names_may_have_dashes_stars_and_digits() {
    same("a-b_c2* = 1; *x = 2", "a-b_c2*=1 *x=2");
    refused("2a = 1", "'2' stands where a setting is expected");
}

#[test]
fn comments_may_stand_anywhere() {
    same("# a\n// b\n/* c\n = \n*/ a /* d */ = // e\n 1 # f", "a=1");
    same("a = \"x # y // z /* */\"", "a=\"x # y // z /* */\"");
    refused("a = 1\n\n/* b", "test.conf:3: this comment has no end");
}

#[test]
fn integers_may_be_hexadecimal_binary_octal_or_long() {
    same("a = [ 12, -5, +7, 0x1F, 0XfF, 0b101, 0o17, 0q17 ]", "a=[12 -5 7 31 255 5 15 15]");
    same(
        "a = 9223372036854775807L; b = -9223372036854775808; c = 5LL; d = 0xFFFFFFFFFFFFFFFFL",
        "a=9223372036854775807 b=-9223372036854775808 c=5 d=-1",
    );
    for word in ["9223372036854775808", "0x10000000000000000", "0x", "0b2", "12x", "0x-1", "--1", "1L2", "-"] {
        refused(&format!("a = {word}"), "is not a value");
    }
}

#[test]
fn floats_have_a_point_or_an_exponent() {
    same("a = [ 1.5, -1e3, .5, 2., 1.5E-2 ]", "a=[1.5 -1000.0 0.5 2.0 0.015]");
    for word in ["inf", "nan", "1e999", "1.5.2", "1.5L", "e5"] {
        refused(&format!("a = {word}"), "is not a value");
    }
}

#[test]
fn booleans_may_be_written_in_any_case() {
    same("a = true; b = FALSE; c = True", "a=true b=false c=true");
    refused("a = yes", "strings stand in quotes");
}

#[test]
fn strings_that_follow_each_other_are_one() {
    same("a = \"x\" \"y\"\n /* */ \"z\"; b = \"\"", "a=\"xyz\" b=\"\"");
    same(
        r#"a = "\\ \" \n\r\t\f\a\b\v \x41\xc3\xa4 \q \x4""#,
        &format!("a={:?}", "\\ \" \n\r\t\x0c\x07\x08\x0b A\u{e4} \\q \\x4"),
    );
    same("a = \"two\nlines\"\nb = 1", "a=\"two\\nlines\" b=1");
    refused("a = 1\nb = \"x\n\n", "test.conf:2: this string has no end");
    refused(r#"a = "\xff""#, "not UTF-8");
}

#[test]
fn arrays_hold_scalars_of_one_type_and_lists_anything() {
    same("a = ( 1, \"b\", { c = 2 }, ( 3 ), [ 4 ], )", "a=[1 \"b\" {c=2} [3] [4]]");
    same("a = [ \"b\", \"c\", ]", "a=[\"b\" \"c\"]");
    refused("a = [ 1,\n \"b\" ]", "test.conf:2: an array holds scalars of one type");
    refused("a = [ { b = 1 } ]", "an array holds scalars");
    refused("a = ( 1 2 )", "',' or ')'");
    refused("a = ( , )", "a value");
}

#[test]
fn a_name_that_is_set_twice_is_an_error() {
    refused("a = 1\n\na = 2", "test.conf:3: \"a\" is set twice, first at test.conf:1");
    same("a = { x = 1 }; b = { x = 2 }", "a={x=1} b={x=2}");
}

#[test]
fn errors_name_the_line() {
    refused("a = 1;\nb = {\n c = ;\n}", "test.conf:3: ';' stands where a value is expected");
    refused("a = 1\nb 2", "test.conf:2: '2' stands where the '=' after \"b\" is expected");
    refused("a = {\n b = 1\n", "test.conf:3: the file ends where a setting or '}' is expected");
    refused("a = 1\n}\n", "test.conf:2: '}' stands where a setting is expected");
    refused("a = \x00", "'\\x00' stands where a value");
    refused(&format!("a = {}", "(".repeat(1_000_000)), "nested more than 100 deep");
    refused(&"a = {".repeat(1_000_000), "nested more than 100 deep");
}

#[test]
fn places_are_those_of_the_names() {
    let list = settings("\n\na\n=\n1\n/* \n */ b = 2").unwrap();
    assert_eq!((list[0].place.line, list[0].value.place.line, list[1].place.line), (3, 5, 7));
}

#[test]
fn an_included_file_stands_where_it_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("main.conf", "a = 1\nn = {\n  @include \"part.conf\"\n  z = 9\n}");
    write("part.conf", "b = 2\nc = @include\n");
    write("loop.conf", "@include \"loop.conf\"");
    let load = |name: &str| {
        let path = directory.path().join(name);
        parse(name, &std::fs::read(&path).unwrap(), &Origin::of(&path)).map_err(|error| error.to_string()).map(group)
    };

    let error = load("main.conf").unwrap_err();
    assert!(error.contains("part.conf:2:"), "{error}");
    write("part.conf", "b = 2\nc = 3\n");
    assert_eq!(show_settings(&load("main.conf").unwrap()), "a=1 n={b=2 c=3 z=9}");
    write("part.conf", "b = 2 }");
    assert!(load("main.conf").unwrap_err().contains("part.conf:1: '}'"));
    assert!(load("loop.conf").unwrap_err().contains("more than 10 deep"));
    write("main.conf", "\n@include \"none.conf\"");
    assert!(load("main.conf").unwrap_err().starts_with("main.conf:2: cannot include"));
    write("main.conf", "@include none.conf");
    assert!(load("main.conf").unwrap_err().contains("in quotes"));
}
