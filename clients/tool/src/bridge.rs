//! `villas-shm bridge`: another program takes this one's place.

use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::ValueEnum;

use crate::cli::BridgeArgs;
use crate::exec::beside_this_tool;
use crate::log::Level;

const NAME: &str = "villas-shm-bridge";

/// Becomes the bridge. It returns only with the error for which it could not.
pub(crate) fn replace(args: BridgeArgs, level: Level) -> String {
    // A level that stands before the arguments of the bridge was taken for this tool's.
    let level = level.to_possible_value().filter(|_| level != Level::Info);
    let level = level.map_or_else(Vec::new, |value| vec!["-d".into(), value.get_name().to_owned()]);
    let become_it = |path| Command::new(path).args(&level).args(&args.arguments).exec();
    let mut error = beside_this_tool(NAME).map_or(ErrorKind::NotFound.into(), become_it);
    if error.kind() == ErrorKind::NotFound {
        error = become_it(NAME.into());
    }
    match error.kind() {
        ErrorKind::NotFound => format!(
            "{NAME} is neither beside this tool nor in PATH: in the sources of villas-shm \"make bridge\" builds it, and \
             \"make install BRIDGE=1\" installs it too"
        ),
        _ => format!("cannot start {NAME}: {error}"),
    }
}
