//! Names the shared library and writes the C header.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=cbindgen.toml");
    println!("cargo::rerun-if-changed=src/capi");
    println!("cargo::rerun-if-env-changed=VILLAS_SHM_WRITE_HEADER");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libvillas_shm.so.0");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let header = header(&root);
    fs::write(out.join("shmem.h"), &header).expect("the build directory can be written");
    // The checked-in copy is only written when asked for, so that a build never changes the source tree; a test compares.
    if env::var_os("VILLAS_SHM_WRITE_HEADER").is_some() {
        fs::write(root.join("include/villas/shmem.h"), &header).expect("include/villas/shmem.h can be written");
    }
}

/// The header, made of the files of the C interface in the order of the header.
fn header(root: &Path) -> String {
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is valid");
    let files =
        "error sample channel channel_samples channel_control wire ring ring_messages ring_control endpoint segment event";
    let builder = files.split(' ').fold(cbindgen::Builder::new().with_config(config), |builder, file| {
        builder.with_src(root.join("src/capi").join(file).with_extension("rs"))
    });
    let mut text = Vec::new();
    builder.generate().expect("src/capi is valid for cbindgen").write(&mut text);
    let text = String::from_utf8(text).expect("the sources are UTF-8");
    short_comments_on_one_line(&without_safety_sections(&text))
}

/// "# Safety" is for callers from Rust; a C programmer reads it in the parameters.
fn without_safety_sections(text: &str) -> String {
    let mut kept = String::new();
    let mut in_section = false;
    for line in text.lines() {
        if line.trim() == "* # Safety" {
            in_section = true;
            // The empty comment line before it goes too.
            if kept.ends_with(" *\n") {
                kept.truncate(kept.len() - " *\n".len());
            }
        } else if line.trim_start().starts_with("*/") {
            in_section = false;
        }
        if !in_section {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// A comment of one sentence takes one line.
fn short_comments_on_one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut kept = String::new();
    let mut at = 0;
    while at < lines.len() {
        let is_short = |window: &[&str]| window[0].trim() == "/**" && window[2].trim() == "*/";
        match lines.get(at..at + 3) {
            Some(window) if is_short(window) => {
                let indent = &window[0][..window[0].len() - window[0].trim_start().len()];
                let sentence = window[1].trim_start().trim_start_matches('*').trim();
                kept.push_str(&format!("{indent}/** {sentence} */\n"));
                at += 3;
            }
            _ => {
                kept.push_str(lines[at]);
                kept.push('\n');
                at += 1;
            }
        }
    }
    kept
}
