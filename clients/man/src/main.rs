//! usage: villas-shm-man DIRECTORY
//!
//! Writes man pages into DIRECTORY/man and completions into DIRECTORY/completions. Section 1 comes
//! from the tool's own command line, section 3 and most of shmem(7) from the comments of the C
//! header. The rest is in `pages`.

mod commands;
mod functions;
mod header;
mod help;
mod inline;
mod overview;
mod returns;
mod roff;

/// The command line of `villas-shm-bridge`, whose other files need Zenoh.
#[path = "../../bridge/src/cli.rs"]
#[allow(dead_code, reason = "only its command line is looked at")]
mod bridge;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use header::Header;
use roff::Page;

const HEADER: &str = include_str!("../../../include/villas/shmem.h");
const CHANGELOG: &str = include_str!("../../../CHANGELOG.md");

/// The day of the newest release, as the changelog has it; empty before the first.
fn release_date() -> &'static str {
    let dates = CHANGELOG.lines().filter(|line| line.starts_with("## [")).filter_map(|line| line.split_once(" - "));
    dates.map(|(_, date)| date.trim()).next().unwrap_or_default()
}

/// A page by hand, without its title line.
fn by_hand(name: &str, section: u8, text: &str) -> String {
    let mut page = Page::new(name, section);
    page.raw(text);
    page.into_text()
}

/// All files, by their paths in the directory.
fn files() -> BTreeMap<String, Vec<u8>> {
    let header = Header::parse(HEADER);
    let mut files = BTreeMap::new();
    let mut put = |path: String, text: String| assert!(files.insert(path, text.into_bytes()).is_none(), "two files of one name");
    for (name, text) in functions::pages(&header) {
        put(format!("man/man3/{name}"), text);
    }
    let overview = overview::page(include_str!("../pages/shmem.7"), include_str!("../pages/shmem.c"), &header);
    put("man/man7/shmem.7".into(), overview);
    put("man/man1/villas-shmem.1".into(), by_hand("villas-shmem", 1, include_str!("../pages/villas-shmem.1")));
    for (name, text) in commands::pages() {
        put(format!("man/man1/{name}"), text);
    }
    for (name, text) in commands::completions() {
        put(format!("completions/{name}"), text);
    }
    files
}

fn write(directory: &Path) -> io::Result<()> {
    for (path, text) in files() {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().expect("a folder"))?;
        fs::write(path, text)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let (Some(directory), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: villas-shm-man DIRECTORY");
        return ExitCode::FAILURE;
    };
    match write(Path::new(&directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("villas-shm-man: cannot write into {}: {error}", Path::new(&directory).display());
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::OnceLock;

    fn page(path: &str) -> String {
        static FILES: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
        let text = FILES.get_or_init(files).get(path).unwrap_or_else(|| panic!("there is no {path}"));
        String::from_utf8(text.clone()).expect("a page is UTF-8")
    }

    #[test]
    fn each_function_is_in_the_name_and_the_synopsis_of_the_page_that_it_leads_to() {
        for function in include_str!("../../../tests/symbols.txt").lines() {
            let mut text = page(&format!("man/man3/{function}.3"));
            if let Some(target) = text.strip_prefix(".so ") {
                text = page(&format!("man/{}", target.trim()));
            }
            let part = |from: &str, to: &str| {
                text.split(from).nth(1).and_then(|rest| rest.split(to).next()).unwrap_or_default().to_owned()
            };
            let names = part(".SH NAME\n", " \\- ");
            assert!(names.split([',', ' ', '\n']).any(|name| name == function), "{function} is not among {names}");
            assert!(part(".SH SYNOPSIS\n", ".SH").contains(&format!("{function}(")), "{function} has no prototype");
            assert!(part(".SH RETURN VALUE\n", ".SH").len() > 2, "{function} returns nothing");
        }
    }

    #[test]
    fn each_type_and_each_constant_is_on_a_page() {
        let all: String =
            files().iter().filter(|(path, _)| path.contains("man3")).map(|(_, text)| String::from_utf8_lossy(text)).collect();
        let header = Header::parse(HEADER);
        assert!(header.types.len() > 10 && header.constants.len() > 30, "the header has lost something");
        for one in &header.types {
            assert!(all.contains(&format!(".SS {}\n", one.name)), "{}", one.name);
        }
        for constant in &header.constants {
            assert!(all.contains(&format!("\n{}\n", roff::bold(&constant.name))), "{}", constant.name);
        }
    }

    #[test]
    fn each_section_of_the_head_of_the_header_is_in_the_overview() {
        let (overview, header) = (page("man/man7/shmem.7"), Header::parse(HEADER));
        let titles: Vec<&String> =
            header.head.windows(2).filter(|pair| pair[1].starts_with("====")).map(|pair| &pair[0]).collect();
        assert!(titles.len() > 5, "{titles:?}");
        for title in titles {
            assert!(overview.contains(&format!(".SH {}\n", title.to_uppercase())), "{title}");
        }
    }

    #[test]
    fn a_function_without_a_page_is_an_error() {
        let begin =
            "/* New things -----\n *\n * They are new.\n */\n\n/**\n * Is new.\n *\n * @return 0\n */\nint shmem_new(void);\n";
        let changed = HEADER.replacen("/* Rings ---", &format!("{begin}\n/* Rings ---"), 1);
        let header = Header::parse(&changed);
        let error = std::panic::catch_unwind(|| functions::pages(&header)).expect_err("it has no page");
        let message = error.downcast_ref::<String>().expect("a message");
        assert!(message.contains("a page begins with shmem_new"), "{message}");
    }
}
