//! `villas-shm ls`, `show`, `rm`, `clean`, on regions of this library's, of others, and of the dead.

mod common;

use common::{Node, Signal, TOOL, kill, lines, tool, until};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use villas_shm::{Channel, Config, Policy, Ring, Role};

fn stdout(arguments: &[&str]) -> String {
    String::from_utf8(tool(arguments).assert().success().get_output().stdout.clone()).unwrap()
}

#[track_caller]
fn refused(arguments: &[&str], because: &[&str]) {
    let output = tool(arguments).assert().code(1).get_output().clone();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(because.iter().all(|why| text.contains(why)), "{text}");
}

/// What `ls --json` says of an object.
fn listed(name: &str) -> Option<Value> {
    let all: Value = serde_json::from_str(&stdout(&["ls", "--json"])).unwrap();
    assert_eq!(all["version"], 1);
    all["objects"].as_array().unwrap().iter().find(|object| object["name"] == name).cloned()
}

/// A POSIX object that goes with the test.
struct Object(PathBuf, String);

impl Object {
    fn new(what: &str, bytes: &[u8]) -> Object {
        let name = format!("villas-ls-{what}-{}", std::process::id());
        let path = Path::new("/dev/shm").join(&name);
        fs::write(&path, bytes).unwrap();
        Object(path, name)
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A node that was killed with three samples in its region.
fn killed() -> Node {
    let node = Node::new("queuelen = 8; samplelen = 2");
    let mut running = node.start(&[]);
    running.send(&lines(7, 3));
    until("they are written", || listed(&node.region).is_some_and(|object| object["queues"][0]["depth"] == 3));
    kill(running.child.id(), Signal::SIGKILL);
    let _ = running.child.wait();
    node
}

/// Bytes of a name that are no text, and some that a terminal would take for a command.
#[test]
fn names_that_are_no_text_are_listed_shown_and_removed() {
    let mut bytes = b"villas-ls-gr\xf6\xdfe\x1b[2J-".to_vec();
    bytes.extend(std::process::id().to_string().bytes());
    let name = OsStr::from_bytes(&bytes);
    let shown = format!("villas-ls-gr\\xf6\\xdfe\\u{{1b}}[2J-{}", std::process::id());
    let path = Path::new("/dev/shm").join(name);
    drop(Channel::create(name, &Config::default()).unwrap());
    let run = |arguments: &[&str]| {
        let output = Command::new(TOOL).args(arguments).arg(name).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };

    let table = stdout(&["ls"]);
    assert!(table.contains(&shown) && !table.contains('\x1b'), "{table}");
    let (code, text, _) = run(&["show"]);
    assert!(code == Some(0) && text.starts_with(&format!("channel {shown}\n")), "{text}");
    let (code, text, _) = run(&["show", "--hex"]);
    assert!(code == Some(0) && text.starts_with("00000000  "), "{text}");
    let (_, json, _) = run(&["show", "--json"]);
    let object: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(object["name"], name.to_string_lossy().as_ref());
    assert_eq!(object["name_bytes"], bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());

    let node = Channel::create(name, &Config::default()).unwrap();
    let (code, _, error) = run(&["rm"]);
    assert!(code == Some(1) && error.contains("in use") && error.contains(r"gr\x") && !error.contains('\x1b'), "{error}");
    drop(node);
    assert_eq!(run(&["rm"]).0, Some(0));
    assert!(!path.exists());
    assert_eq!(run(&["show"]).0, Some(1));

    // Slashes in front are left out, as everywhere; and a name that is text has no bytes beside it.
    let object = Object::new("slashes", b"text");
    let json: Value = serde_json::from_str(&stdout(&["show", "--json", &format!("//{}", object.1)])).unwrap();
    assert_eq!((&json["name"], &json["name_bytes"]), (&object.1.as_str().into(), &Value::Null));
}

#[test]
fn a_region_of_the_dead_is_stale_shown_and_removed() {
    let node = killed();
    let name = node.region.as_str();
    let object = listed(name).unwrap();
    assert_eq!((&object["kind"], &object["state"], &object["mode"]), (&"channel".into(), &"stale".into(), &"0600".into()));
    assert_eq!((&object["peers"][0]["role"], &object["peers"][0]["state"]), (&"node".into(), &"dead".into()));
    assert_eq!((&object["parameters"]["queuelen"], &object["blocks"]["free"]), (&8.into(), &(2 * (8 + 64) - 3).into()));
    let table = stdout(&["ls"]);
    let line = table.lines().find(|line| line.contains(name)).unwrap();
    assert!(line.starts_with("channel ") && line.contains(" stale ") && line.contains(" 3/8 0/8 "), "{line}");

    let before = fs::read(Path::new("/dev/shm").join(name)).unwrap();
    let shown = stdout(&["show", "-n", "2", name]);
    assert!(shown.contains("node to program: 3 of 8 wait, 3 written, 0 read\n    1451606400.000000007(7)\t7.5\n"), "{shown}");
    // The third is not asked for, but is the newest.
    assert!(shown.contains("(8)\t8.5\n    the newest:\n    1451606400.000000009(9)\t9.5\n"), "{shown}");
    let json: Value = serde_json::from_str(&stdout(&["show", "--json", name])).unwrap();
    assert_eq!(json["queues"][0]["waiting"][2]["values"][0], format!("{:016x}", 9.5f64.to_bits()));
    let hex = stdout(&["show", "--hex", name]);
    assert!(hex.starts_with("00000000  56 49 4c 4c 41 53 48 4d 03 00 00 00 "), "{hex}");
    assert!(hex.contains("\n*\n") && hex.ends_with(&format!("{:08x}\n", before.len())), "{hex}");
    assert!(fs::read(Path::new("/dev/shm").join(name)).unwrap() == before, "it was changed");

    tool(&["rm", name]).assert().success();
    assert!(!node.region_exists());
    refused(&["rm", name], &["there is no", name]);
    refused(&["show", name], &["there is no", name]);
}

#[test]
fn waiting_samples_are_shown_with_the_types_that_are_given() {
    let node = Node::new("");
    let channel = Channel::create(&node.region, &Config::new().samplelen(3)).unwrap();
    let mut sample = channel.alloc().unwrap();
    sample.set_len(3).unwrap();
    sample.set_bits(0, i64::MIN as u64);
    sample.set_bits(1, 1f64.to_bits());
    channel.write(&mut vec![sample]).unwrap();
    let shown = stdout(&["show", "-t", "i", &node.region]);
    assert!(shown.contains("(0)\t-9223372036854775808\t1.0\t"), "{shown}");
    drop(channel);
    Channel::unlink(&node.region).unwrap();
}

#[test]
fn show_and_ls_tell_all_signals_in_text_and_json() {
    use villas_shm::{Signal, SignalType};
    let node = Node::new("");
    let mut out: Vec<_> = (0..63).map(|at| Signal::new(format!("load_{at}"), "MW", SignalType::Float)).collect();
    out.push(Signal::new("\"\\ Größe\u{202e}", "</script>", SignalType::Complex));
    let channel = Channel::create(&node.region, &Config::new().out_signals(out)).unwrap();
    let shown = stdout(&["show", &node.region]);
    assert!(shown.contains("  signals, node to program:\n     0  load_0 "), "{shown}");
    let line = shown.lines().find(|line| line.contains("load_62")).unwrap();
    assert_eq!(line, "    62  load_62           MW         float");
    assert!(
        shown.ends_with("\n    63  \"\\ Größe\\u{202e}  </script>  complex\n  signals, program to node: none named\n"),
        "{shown}"
    );
    let one: Value = serde_json::from_str(&stdout(&["show", "--json", &node.region])).unwrap();
    let all: Value = serde_json::from_str(&stdout(&["ls", "--json"])).unwrap();
    let listed = all["objects"].as_array().unwrap().iter().find(|object| object["name"] == node.region).unwrap();
    for object in [&one, listed] {
        assert_eq!(object["queues"][0]["signals"][1], json!({ "name": "load_1", "unit": "MW", "type": "float" }));
        assert_eq!(object["queues"][0]["signals"][63]["name"], "\"\\ Größe\u{202e}");
        assert_eq!(object["queues"][1]["signals"], json!([]));
    }
    drop(channel);
    Channel::unlink(&node.region).unwrap();
}

#[test]
fn show_prints_waiting_samples_by_the_types_of_the_region() {
    use villas_shm::{Signal, SignalType};
    let node = Node::new("");
    let config = Config::new().out_signals([Signal::new("n", "", SignalType::Integer)]);
    let channel = Channel::create(&node.region, &config).unwrap();
    let mut sample = channel.alloc().unwrap();
    sample.set_len(2).unwrap();
    sample.set_bits(0, 1f64.to_bits());
    sample.set_bits(1, 1f64.to_bits());
    channel.send(sample).unwrap();
    let integer = 1f64.to_bits().to_string();
    for (options, values) in
        [(&["show"][..], format!("{integer}\t1.0")), (&["show", "-t", "2i"], format!("{integer}\t{integer}"))]
    {
        let shown = stdout(&[options, &[&node.region]].concat());
        assert!(shown.contains(&format!("\t{values}\n")), "{shown}");
    }
    drop(channel);
    Channel::unlink(&node.region).unwrap();
}

#[test]
fn what_a_live_process_holds_is_not_removed_unless_forced() {
    let node = Node::new("");
    let running = node.start(&[]);
    until("the region is there", || node.region_exists());
    let name = node.region.as_str();
    let pid = running.child.id();
    refused(&["rm", name], &["is in use", &format!("process {pid} (villas-shm)"), "--force"]);
    assert_eq!(listed(name).unwrap()["attached"][0]["pid"], pid);
    assert!(node.region_exists());
    tool(&["rm", "--force", name]).assert().success();
    assert!(!node.region_exists());
    kill(pid, Signal::SIGTERM);
    running.wait();
}

#[test]
fn foreign_and_corrupt_objects_are_shown_as_what_they_are() {
    let foreign = Object::new("foreign", b"not a region");
    assert_eq!(listed(&foreign.1).unwrap()["kind"], "posix");
    assert!(stdout(&["show", &foreign.1]).starts_with(&format!("posix {}\n  size        12 bytes", foreign.1)));

    let name = format!("villas-ls-source-{}", std::process::id());
    let ring = Ring::<u64>::open(&name, Policy::Mpmc, Role::Producer, 4).unwrap();
    let mut bytes = fs::read(Path::new("/dev/shm").join(&name)).unwrap();
    Ring::unlink(&name).unwrap();
    drop(ring);
    bytes[0x108] = 0xff;
    bytes[24] = 99;
    let corrupt = Object::new("corrupt", &bytes);
    let object = listed(&corrupt.1).unwrap();
    assert_eq!((&object["kind"], &object["state"]), (&"ring".into(), &"corrupt".into()));
    assert!(object["note"].as_str().unwrap().contains("inconsistent"), "{object}");
    let shown = stdout(&["show", &corrupt.1]);
    assert!(shown.contains("state       corrupt"), "{shown}");

    // A file that says to be as large as no memory is.
    let huge = Object::new("huge", b"VILLASHM");
    fs::File::options().write(true).open(&huge.0).unwrap().set_len(1 << 50).unwrap();
    assert_eq!(listed(&huge.1).unwrap()["kind"], "channel");

    // A name that would clear the terminal.
    let evil = Object::new("\u{1b}[2J", b"");
    assert!(!stdout(&["ls"]).contains('\u{1b}') && !stdout(&["show", &evil.1]).contains('\u{1b}'));
}

#[test]
fn a_program_under_full_traffic_is_not_disturbed_by_ls() {
    let node = Node::with_client("queuelen = 64; samplelen = 4", 4);
    let mut running = node.start(&[]);
    let mut stdin = running.stdin.take().unwrap();
    let looks = Arc::new(AtomicU32::new(0));
    let made = Arc::clone(&looks);
    // As much as the looks take, which may come late.
    let writer = std::thread::spawn(move || {
        let mut written = 0;
        while written < 100_000 || made.load(Relaxed) < 3 {
            stdin.write_all(lines(written, 10_000).as_bytes()).unwrap();
            written += 10_000;
        }
        written
    });
    until("the traffic is over, and three looks have found the region", || {
        if let Some(object) = listed(&node.region) {
            assert_ne!(object["state"], "corrupt", "{object}");
            looks.fetch_add(1, Relaxed);
        }
        writer.is_finished()
    });
    let written = writer.join().unwrap();
    let (status, output, messages) = running.wait();
    assert!(status.success(), "{messages}");
    assert!(common::sequence(&output).into_iter().eq(0..written));
    assert!(messages.contains(&format!("sent {written}, received {written}, redelivered 0")), "{messages}");
}

#[test]
fn system_v_segments_are_shown_and_removed_by_key_and_number() {
    let made = Command::new("ipcmk").args(["-M", "5000"]).output();
    let Ok(made) = made else { return eprintln!("skipped: there is no ipcmk") };
    let id = String::from_utf8(made.stdout).unwrap().split_whitespace().last().unwrap().to_string();
    let shown = stdout(&["show", "--id", &id]);
    assert!(shown.starts_with("sysv key 0x") && shown.contains("5000 bytes") && shown.contains("state       unused"), "{shown}");
    assert!(stdout(&["ls"]).lines().any(|line| line.starts_with("sysv") && line.contains(&format!("id {id} "))));
    let key = shown.split_whitespace().nth(2).unwrap();
    refused(&["show", "--hex", "--id", &id], &["attach"]);
    tool(&["rm", "--key", key]).assert().success();
    refused(&["rm", "--id", &id], &["there is no System V segment"]);
    refused(&["rm", "--key", "0"], &["use --id"]);
}

/// Another user sees that there is something, and removes nothing.
#[test]
fn another_users_objects_are_listed_and_kept() {
    if !nix::unistd::geteuid().is_root() {
        return eprintln!("skipped: only root can become another user");
    }
    let node = killed();
    // Where that user can reach it.
    let copy = std::env::temp_dir().join(format!("villas-shm-test-{}", std::process::id()));
    fs::copy(TOOL, &copy).unwrap();
    let as_nobody = |arguments: &[&str]| {
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&copy)
            .args(arguments)
            .output();
        let output = output.expect("setpriv, of util-linux");
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap(), output.status.code())
    };
    let (table, messages, status) = as_nobody(&["ls"]);
    let line = table.lines().find(|line| line.contains(&node.region)).unwrap_or_else(|| panic!("{table}{messages}"));
    assert!(status == Some(0) && line.starts_with("?") && line.contains("Permission denied"), "{line}");
    let (_, messages, status) = as_nobody(&["rm", &node.region]);
    assert!(status == Some(1) && messages.contains("cannot be looked into"), "{messages}");
    let (_, messages, status) = as_nobody(&["rm", "--force", &node.region]);
    assert!(status == Some(1) && messages.contains("Operation not permitted"), "{messages}");
    let (said, _, _) = as_nobody(&["clean", "--dry-run"]);
    assert!(!said.contains(&node.region), "{said}");
    fs::remove_file(copy).unwrap();
    tool(&["rm", &node.region]).assert().success();
}

/// In a `/dev/shm` of its own, so that nobody else's is touched.
#[test]
fn clean_removes_what_is_stale_and_nothing_else() {
    if std::env::var_os("VILLAS_OWN_SHM").is_none() {
        let inside = Command::new("unshare")
            .args(["-m", "sh", "-c", "mount -t tmpfs -o size=64m none /dev/shm && exec \"$@\"", "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "clean_removes_what_is_stale_and_nothing_else", "--nocapture"])
            .env("VILLAS_OWN_SHM", "1")
            .stdin(Stdio::null())
            .output();
        let is_root = nix::unistd::geteuid().is_root();
        let Some(output) = inside.ok().filter(|_| is_root) else { return eprintln!("skipped: only root can mount a /dev/shm") };
        let text = String::from_utf8_lossy(&output.stderr);
        if text.contains("unshare failed") || text.contains("mount: ") {
            return eprintln!("skipped: {text}");
        }
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    assert_eq!(fs::read_dir("/dev/shm").unwrap().count(), 0, "a /dev/shm of its own");
    assert_eq!(stdout(&["clean"]), "0 objects removed, 0 bytes\n");
    let live = Channel::create("live", &Config::default()).unwrap();
    let dead = killed();
    let wire = Node::new("");
    fs::write(&wire.config, "nodes = { n = { type = \"shmem\"; in = { name = \"a\" }; out = { name = \"b\" } } }").unwrap();
    let mut running = wire.start(&[]);
    until("it waits", || ["b", "sem.b", "sem.a"].iter().all(|name| Path::new("/dev/shm").join(name).exists()));
    let wire_pid = running.child.id();
    let idle = Ring::<u64>::open("idle", Policy::Spsc, Role::Producer, 4).unwrap();
    idle.push(&1).unwrap();
    drop(idle);
    fs::write("/dev/shm/foreign", [7; 4096]).unwrap();
    fs::write("/dev/shm/sem.foreign", [0; 32]).unwrap();
    let mut corrupt = fs::read("/dev/shm/live").unwrap();
    corrupt[16] ^= 1;
    fs::write("/dev/shm/corrupt", corrupt).unwrap();
    fs::copy("/dev/shm/idle", "/dev/shm/others").unwrap();
    std::os::unix::fs::chown("/dev/shm/others", Some(65534), None).unwrap();

    let names = || {
        let mut names: Vec<String> =
            fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let before = names();
    let region = &dead.region;
    let said = stdout(&["clean", "--dry-run"]);
    assert!(said.contains("stale: ring idle, 1 unread in it\n") && said.contains("2 objects would be removed"), "{said}");
    assert!(
        said.lines().any(|l| l.starts_with(&format!("stale: channel {region}, node ")) && l.ends_with("dead, 3 unread in it")),
        "{said}"
    );
    assert_eq!(names(), before);

    kill(wire_pid, Signal::SIGKILL);
    let _ = running.child.wait();
    let said = stdout(&["clean"]);
    assert!(said.contains("stale: wire b, writer ") && said.contains("stale: sem sem.b\n"), "{said}");
    assert!(said.ends_with(" bytes\n") && said.contains("4 objects removed"), "{said}");
    // Nothing tells that the semaphore of the other name, which has no region, was made by this library.
    assert_eq!(names(), ["corrupt", "foreign", "live", "others", "sem.a", "sem.foreign"]);
    assert_eq!(live.stats().written, 0);
    refused(&["rm", "live"], &["is in use"]);
    for name in ["corrupt", "foreign", "sem.foreign", "sem.a"] {
        tool(&["rm", name]).assert().success();
    }
}

#[test]
fn usage_says_what_is_missing() {
    refused(&["rm"], &["<NAME>"]);
    refused(&["show", "a/b"], &["a '/'"]);
    refused(&["show", "--hex", "--json", "x"], &["cannot be used with"]);
    let help = stdout(&["ls", "--help"]);
    assert!(help.contains("Columns:") && help.contains("attach_count") && help.contains("Exit status:"), "{help}");
}
