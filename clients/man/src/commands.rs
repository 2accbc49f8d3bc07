//! Section 1 and completions: the tool's command line.

use std::collections::BTreeMap;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::roff::{Page, ascii, bold, escape, filled};
use crate::{bridge, help};

/// The tool's command line, in which `bridge` has that of the program it starts.
fn command() -> Command {
    villas_shm_tool::command().mut_subcommand("bridge", |starter| {
        let bridge = bridge::Cli::command().name("bridge");
        let what = bridge.get_long_about().map(ToString::to_string).unwrap_or_default();
        let how = starter.get_long_about().map(ToString::to_string).unwrap_or_default();
        let how = how.split_once("\n\n").map_or("", |(_, how)| how);
        bridge.long_about(format!("{what}\n\n{how}"))
    })
}

/// The files of section 1, by name.
pub(crate) fn pages() -> BTreeMap<String, String> {
    // What all subcommands have comes last.
    let mut command = command().disable_help_subcommand(true).mut_arg("debug", |arg| arg.display_order(900));
    command.build();
    let subcommands: Vec<&Command> = command.get_subcommands().collect();
    let names: Vec<&str> = subcommands.iter().filter_map(|one| one.get_display_name()).collect();
    let mut files = BTreeMap::from([("villas-shm.1".to_owned(), page(&command, &names))]);
    for one in &subcommands {
        let name = one.get_display_name().expect("it is built");
        files.insert(format!("{name}.1"), page(one, &["villas-shm"]));
    }
    files
}

/// As the help has it.
fn synopsis(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let rest = usage.trim_start_matches("Usage: ").strip_prefix(name).expect("the usage begins with the command");
    format!("{}{}", bold(name), escape(rest))
}

fn page(command: &Command, see_also: &[&str]) -> String {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let man = Man::new(command.clone());
    let mut page = Page::new(name, 1);
    let about = command.get_about().map(ToString::to_string).unwrap_or_default().replace('`', "");
    page.section("NAME");
    page.paragraph(&format!("{} \\- {}", escape(name), escape(&about)), false);
    // Not by clap_mangen, which leaves out the options' values.
    page.section("SYNOPSIS");
    page.raw(&synopsis(command));
    let mut part = |render: &dyn Fn(&mut Vec<u8>) -> std::io::Result<()>| {
        let mut text = Vec::new();
        render(&mut text).expect("memory can be written");
        page.raw(&tidy(&String::from_utf8(text).expect("roff is UTF-8")));
    };
    part(&|text| man.render_description_section(text));
    part(&|text| man.render_options_section(text));
    if command.has_subcommands() {
        part(&|text| man.render_subcommands_section(text));
    }
    if let Some(text) = command.get_after_long_help().or(command.get_after_help()) {
        help::print(&mut page, &text.to_string());
    }
    page.section("SEE ALSO");
    let others = see_also.iter().map(|name| format!(".BR {} (1)", escape(name)));
    page.raw(&others.chain([".BR villas\\-shmem (1)".into(), ".BR shmem (7)".into()]).collect::<Vec<_>>().join(",\n"));
    page.into_text()
}

/// What clap_mangen has written: without its definitions for old programs, in lines that are not
/// too long, what is quoted by backticks in bold, possible values one below the other.
fn tidy(roff: &str) -> String {
    let roff = roff.replace(".br\n\n.br\n", ".br\n").replace(".RS 14\n", ".RS\n.PD 0\n").replace("\n.RE", "\n.PD\n.RE");
    let mut lines = Vec::new();
    let mut is_tag = false;
    for line in roff.lines().filter(|line| !line.starts_with(".ie") && !line.starts_with(".el")) {
        let mut quoted = false;
        let line: String = ascii(line)
            .replace("\\*(Aq", "\\(aq")
            .replace('^', "\\(ha")
            .replace('~', "\\(ti")
            .split('`')
            .map(|part| {
                let part = if quoted { format!("\\fB{part}\\fP") } else { part.to_owned() };
                quoted = !quoted;
                part
            })
            .collect();
        assert!(quoted, "a backtick without another: {line}");
        // A tag is one line, however long.
        let keep = is_tag || line.starts_with('.');
        is_tag = line == ".TP";
        lines.push(if keep { line } else { filled(&line) });
    }
    lines.join("\n")
}

/// The files of completions, as their shells look for them.
pub(crate) fn completions() -> BTreeMap<String, String> {
    let files = [("villas-shm.bash", Shell::Bash), ("_villas-shm", Shell::Zsh), ("villas-shm.fish", Shell::Fish)];
    let completion = |shell| {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command(), "villas-shm", &mut text);
        // For bash, clap_complete 4.6 spells the name of a program with a hyphen in two ways:
        // https://github.com/clap-rs/clap/issues/6421
        String::from_utf8(text).expect("completions are UTF-8").replace("villas__subcmd__shm__", "villas__shm__")
    };
    files.into_iter().map(|(name, shell)| (name.to_owned(), completion(shell))).collect()
}
