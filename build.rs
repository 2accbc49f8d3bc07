//! Names the shared library and writes the C header.
#![cfg_attr(not(feature = "capi"), allow(dead_code, unused_imports))]

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=cbindgen.toml");
    println!("cargo::rerun-if-changed=src/capi");
    println!("cargo::rerun-if-env-changed=VILLAS_SHM_WRITE_HEADER");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libvillas_shm.so.0");
    // A helper thread (src/readiness) may be inside the library when a program closes it by dlclose.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    #[cfg(feature = "capi")]
    write_header(&root, &out);
    #[cfg(not(feature = "capi"))]
    let _ = (root, out);
}

#[cfg(feature = "capi")]
fn write_header(root: &Path, out: &Path) {
    let header = header(root);
    fs::write(out.join("shmem.h"), &header).expect("the build directory can be written");
    // The checked-in copy is only written when asked for, so that a build never changes the source tree; a test compares.
    if env::var_os("VILLAS_SHM_WRITE_HEADER").is_some() {
        fs::write(root.join("include/villas/shmem.h"), &header).expect("include/villas/shmem.h can be written");
    }
}

/// The header, made of the files of the C interface in the order of the header.
#[cfg(feature = "capi")]
fn header(root: &Path) -> String {
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is valid");
    let files = "error sample channel channel_samples channel_control signals wire ring ring_messages ring_control endpoint descriptor segment event";
    let builder = files.split(' ').fold(cbindgen::Builder::new().with_config(config), |builder, file| {
        builder.with_src(root.join("src/capi").join(file).with_extension("rs"))
    });
    let mut text = Vec::new();
    builder.generate().expect("src/capi is valid for cbindgen").write(&mut text);
    let text = String::from_utf8(text).expect("the sources are UTF-8");
    with_groups(&shadowing_allowed(&short_comments_on_one_line(&without_safety_sections(&text))))
}

/// The groups of functions: the first of each, its title, and what it is for.
const GROUPS: [(&str, &str, &[&str]); 9] = [
    ("shmem_version", "Version and errors", &["The loaded library, and the last failure."]),
    ("sample_alloc", "Samples", &["Blocks of a channel's pool, counted by references: allocate, keep, give back, copy."]),
    (
        "shmem_shared_create",
        "Channels of one region",
        &[
            "A node creates a region, a program opens it; one process of each at a time. Either side",
            "reads, writes, waits, and learns of the other's end. The region stays until its name is",
            "removed.",
        ],
    ),
    (
        "shmem_int_open",
        "Channels in VILLASnode's layout",
        &["For an unmodified VILLASnode 1.2 (with glibc): two regions, one for each direction."],
    ),
    (
        "shmem_ring_open",
        "Rings",
        &[
            "Bounded queues of messages of one size, between any processes, for one or many producers",
            "and consumers. The first process that opens a ring creates it.",
            "",
            "A ring and its messages outlive all processes, until shmem_ring_unlink. So the programs",
            "agree on which one unlinks it, and when: for instance the consumer, after a message that",
            "says \"end\". A later open creates a new ring; processes that have the old one open keep it.",
            "",
            "No call fails because all producers are gone, since another may come. A consumer learns it",
            "from shmem_ring_stats only: producers is 0. So wait by shmem_ring_timed_pop, then ask.",
        ],
    ),
    (
        "shmem_endpoint_open",
        "Endpoints",
        &["Duplex connections: two rings, one for each direction. What holds for a ring (shmem_ring_open)", "holds for both."],
    ),
    (
        "shmem_shared_fd",
        "Descriptors to poll",
        &[
            "For poll(2), epoll(7) and what is built on them: libuv, asyncio, Qt, GLib, tokio. Add them for",
            "reading (POLLIN, EPOLLIN), also those of SHMEM_FD_WRITE; level-triggered, as is the default.",
            "",
            "A descriptor is readable while the call would not wait: because it would succeed, or because",
            "the end is there (EPIPE, ESTALE, a closed handle). It may be readable without a reason, so use",
            "the calls that do not wait. A read or pop that finds nothing, and a write, allocation or push",
            "that finds no room for all, makes it not readable: after an event, call until that happens, or",
            "go on at the next event. Polling a descriptor changes nothing; reading from it, closing it, or",
            "changing its flags is an error.",
            "",
            "SHMEM_FD_WRITE is for a program that allocates and writes: also an allocation that finds no",
            "block makes it not readable, until there may be a block or room. So write what you have",
            "allocated before you wait.",
            "",
            "A second call returns the same descriptor. It is close-on-exec, closed with the handle, and",
            "closed in the child of a fork. So remove it from an event loop before the handle is closed.",
            "",
            "Two threads of the library serve all descriptors of a process, and one more for each 127 beyond",
            "the first eight (42 that read VILLASnode's layout; before Linux 5.16: one for each). They block",
            "all signals, and inherit the priority of the caller. A program that asks for no descriptor has",
            "none of them.",
            "",
            "A peer's death is seen at once where the kernel has pidfds and both processes share a pid",
            "namespace, else within 100 ms; so is what a peer has written that was stopped or killed before",
            "it told. A ring tells of no death, but of what the dead have left.",
        ],
    ),
    ("shmem_segment_open", "Segments", &["Raw shared memory, POSIX or System V. It stays until its name, key or id is removed."]),
    (
        "shmem_event_signal",
        "Events",
        &["A process signals that it has written into shared memory of any kind; others wait for it."],
    ),
];

/// A banner before each group.
fn with_groups(text: &str) -> String {
    let mut text = text.to_owned();
    for (function, title, prose) in GROUPS {
        let declared = text.find(&format!(" {function}(")).or_else(|| text.find(&format!("*{function}("))).expect(function);
        let comment = text[..declared].rfind("\n/**").expect("it is documented") + 1;
        let rule = "-".repeat(94usize.saturating_sub(title.len()));
        let prose: String = prose.iter().map(|line| format!(" * {line}").trim_end().to_owned() + "\n").collect();
        text.insert_str(comment, &format!("/* {title} {rule}\n *\n{prose} */\n\n"));
    }
    text
}

/// A struct and the function that fills it have one name, as those of `stat(2)`. C++ allows that, though `-Wshadow` has a word on it.
fn shadowing_allowed(text: &str) -> String {
    let (begin, end) = ("extern \"C\" {\n", "}  // extern \"C\"\n");
    assert!(text.contains(begin) && text.contains(end));
    let push =
        "#pragma GCC diagnostic push\n#pragma GCC diagnostic ignored \"-Wshadow\" /* struct and function shmem_ring_stats */\n";
    text.replacen(begin, &format!("{begin}{push}"), 1).replacen(end, &format!("#pragma GCC diagnostic pop\n{end}"), 1)
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

/// The longest line of the header.
const COLUMNS: usize = 100;

/// A comment of one line of text takes one line, if it fits.
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
                let short = format!("{indent}/** {sentence} */");
                if short.len() <= COLUMNS {
                    kept.push_str(&short);
                } else {
                    kept.push_str(&window.join("\n"));
                }
                kept.push('\n');
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
