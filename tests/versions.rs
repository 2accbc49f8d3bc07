//! The version stands in `Cargo.toml`. Files that cannot ask for it there have copies.

use std::fs;
use std::path::Path;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const PLACE: &str = "Cargo.toml, [workspace.package]";

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The texts between `before` and `after`.
fn between<'a>(text: &'a str, before: &str, after: char) -> Vec<&'a str> {
    text.split(before).skip(1).map(|rest| rest.split(after).next().expect("a first part")).collect()
}

/// The text is there, and says the same version everywhere.
fn assert_all(path: &str, found: &[&str], wanted: &str, remedy: &str) {
    assert!(!found.is_empty(), "{path}: no version is found where one is expected");
    for version in found {
        assert_eq!(*version, wanted, "{path} has another version than {PLACE}: {remedy}");
    }
}

#[test]
fn workspaces_of_their_own_have_the_version_of_the_library() {
    for path in ["clients/bridge/Cargo.toml", "clients/python/Cargo.toml"] {
        let text = read(path);
        let package = text.split("[package]").nth(1).expect("a package").split("\n[").next().expect("its keys");
        assert_all(path, &between(package, "\nversion = \"", '"'), VERSION, "write it there too");
    }
    assert!(read("clients/python/pyproject.toml").contains("dynamic = [\"version\"]"), "maturin takes it from Cargo.toml");
}

#[test]
fn members_of_the_workspace_have_no_version_of_their_own() {
    let root = read("Cargo.toml");
    let members = between(&root, "\nmembers = [", ']')[0];
    let mut seen = 0;
    for member in members.split('"').skip(1).step_by(2) {
        let text = read(&format!("{member}/Cargo.toml"));
        let inherits = text.contains("\nversion.workspace = true\n");
        assert!(inherits, "{member}/Cargo.toml: write version.workspace = true");
        seen += 1;
    }
    assert!(seen >= 8, "only {seen} members were found");
}

#[test]
fn lock_files_have_the_version_of_what_is_built_here() {
    for folder in ["", "clients/bridge/", "clients/python/", "fuzz/"] {
        let path = format!("{folder}Cargo.lock");
        let text = read(&path);
        let ours: Vec<&str> = text
            .split("[[package]]\n")
            .filter(|package| package.starts_with("name = \"villas-shm") && !package.contains("\nsource = "))
            .filter(|package| !package.starts_with("name = \"villas-shm-fuzz\"")) // never released
            .map(|package| between(package, "\nversion = \"", '"')[0])
            .collect();
        let remedy = format!("run \"cargo update --workspace --offline --manifest-path {folder}Cargo.toml\"");
        assert_all(&path, &ours, VERSION, &remedy);
    }
}

#[test]
fn the_header_has_the_version() {
    let header = read("include/villas/shmem.h");
    let parts = ["MAJOR", "MINOR", "PATCH"].map(|part| {
        let found = between(&header, &format!("#define SHMEM_VERSION_{part} "), '\n');
        assert_eq!(found.len(), 1, "SHMEM_VERSION_{part}");
        found[0]
    });
    assert_all("include/villas/shmem.h", &[&parts.join(".")], VERSION, "write it into src/capi/error.rs, then \"make header\"");
}

#[test]
fn the_changelog_begins_with_the_version_and_its_day() {
    let text = read("CHANGELOG.md");
    let headings: Vec<&str> = between(&text, "\n## [", '\n').into_iter().filter(|line| *line != "Unreleased]").collect();
    let (version, day) = headings.first().expect("a release").split_once("] - ").expect("## [VERSION] - DAY");
    assert_all("CHANGELOG.md", &[version], VERSION, "its newest release is this version");
    let digits: Vec<usize> = day.split('-').filter(|part| part.bytes().all(|b| b.is_ascii_digit())).map(str::len).collect();
    assert_eq!(digits, [4, 2, 2], "CHANGELOG.md: {day} is not a day such as 2026-11-30");
}

#[test]
fn documents_name_this_version() {
    let minor = VERSION.rsplit_once('.').expect("a patch level").0;
    assert_all("README.md", &between(&read("README.md"), "This is version ", ','), minor, "write it there too");
    let install = read("docs/install.md");
    assert_all("docs/install.md", &between(&install, "find_package(villas_shm ", ' '), minor, "write it there too");
    // Names such as villas-shm-0.2.0.tar.xz and villas-shm-0.2.0, but not villas-shm-bridge.
    let names = install.split("villas-shm-").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        rest[..end].trim_end_matches('.')
    });
    let versions: Vec<&str> = names.filter(|version| !version.is_empty()).collect();
    assert_all("docs/install.md", &versions, VERSION, "the names of the tarball have it");
}

#[test]
fn the_debian_package_lists_the_functions_that_are_exported() {
    let path = "cmake/debian/libvillas-shm0.symbols";
    let text = read(path);
    let listed: Vec<&str> = text.lines().skip(1).filter_map(|line| line.strip_prefix(' ')?.split("@Base").next()).collect();
    let exported: Vec<&str> = include_str!("symbols.txt").lines().collect();
    assert_eq!(listed, exported, "{path} and tests/symbols.txt: write \" NAME@Base {VERSION}\" for what is new");
}
