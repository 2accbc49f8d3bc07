//! Where a plot goes: first beside the file, then into its place, so that an older plot stays until
//! the newer one is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

pub(super) enum Target {
    /// A regular file, or none yet.
    File(PathBuf),
    /// A pipe or a device, which is written directly.
    Other(PathBuf, File),
}

fn cannot(path: &Path) -> impl Fn(std::io::Error) -> String {
    move |error| format!("cannot write {}: {error}", path.display())
}

impl Target {
    /// Fails if the target could not be written; changes nothing.
    pub(super) fn check(path: &Path) -> Result<Target, String> {
        match OpenOptions::new().write(true).open(path) {
            Ok(file) if file.metadata().is_ok_and(|of| of.is_file()) => {
                // A symbolic link stays; its target is replaced.
                fs::canonicalize(path).map(Target::File).map_err(cannot(path))
            }
            Ok(file) => Ok(Target::Other(path.into(), file)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let made = File::create_new(path).and_then(|_| fs::remove_file(path));
                made.map(|()| Target::File(path.into())).map_err(cannot(path))
            }
            Err(error) => Err(cannot(path)(error)),
        }
    }

    pub(super) fn write(self, text: &str) -> Result<(), String> {
        match self {
            Target::Other(path, mut file) => file.write_all(text.as_bytes()).map_err(cannot(&path)),
            Target::File(path) => {
                let mut name = path.file_name().unwrap_or_default().to_os_string();
                name.push(format!(".{}.part", std::process::id()));
                let part = path.with_file_name(name);
                let written = fs::write(&part, text).and_then(|()| fs::rename(&part, &path));
                written.map_err(|error| {
                    let _ = fs::remove_file(&part);
                    cannot(&path)(error)
                })
            }
        }
    }
}
