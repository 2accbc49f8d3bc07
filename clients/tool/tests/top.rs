//! `villas-shm top` in a terminal, while others exchange samples.

mod common;
#[path = "common/terminal.rs"]
mod terminal;

use common::{Node, Signal, TOOL, hang_up_by_default, lines, tool, until};
use pty_process::blocking::Command;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use terminal::Terminal;
use villas_shm::{Channel, Config, Policy, Ring, Role};

/// A name that nobody else has, and that shortens nowhere.
fn name(what: &str) -> String {
    format!("vt-{what}-{}", std::process::id())
}

/// Ends a thread that looks at it, also when a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A ring or channel, whose name goes with the test.
struct Named<T>(String, Option<T>);

impl<T> Named<T> {
    fn new(name: &str, what: T) -> Named<T> {
        Named(name.into(), Some(what))
    }
}

impl<T> Drop for Named<T> {
    fn drop(&mut self) {
        self.1.take();
        let _ = fs::remove_file(Path::new("/dev/shm").join(&self.0));
    }
}

impl<T> std::ops::Deref for Named<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.1.as_ref().unwrap()
    }
}

/// The figure in a line at this place, with its unit.
fn figure(line: &str, at: usize) -> f64 {
    let word = line.split_whitespace().nth(at).unwrap_or_else(|| panic!("{line}"));
    let digits = word.trim_end_matches(['k', 'M', 'G']);
    let unit = match &word[digits.len()..] {
        "k" => 1e3,
        "M" => 1e6,
        _ => 1.0,
    };
    digits.parse::<f64>().unwrap_or(0.0) * unit
}

fn is_help(line: &str) -> bool {
    line.starts_with("q quit  ↑↓ mark")
}

#[test]
fn rates_and_peers_of_live_traffic_are_shown_and_end_with_it() {
    let node = Node::with_client("queuelen = 64; samplelen = 4", 4);
    let mut running = node.start(&[]);
    let mut stdin = running.stdin.take().unwrap();
    let is_over = AtomicBool::new(false);
    let top = Terminal::new(160, 30, &["top", &node.region, "--interval", "0.1"]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = 0;
            while !is_over.load(Ordering::Relaxed) {
                stdin.write_all(lines(next, 100).as_bytes()).unwrap();
                next += 100;
            }
        });
        let _over = Over(&is_over);
        // Written and read in both directions.
        top.until("rates", |screen| {
            let Some(at) = screen.iter().position(|line| line.starts_with("channel ") && line.contains(" → ")) else {
                return false;
            };
            let (down, up) = (&screen[at], &screen[at + 1]);
            up.trim_start().starts_with('←')
                && [(down, 4), (down, 5), (up, 1), (up, 2)].iter().all(|(line, at)| figure(line, *at) > 10.0)
        });
    });
    let (pid, program) = (running.child.id(), running.program());
    top.until_line(&["→", " live ", &format!("node {pid} (villas-shm)")]);
    top.until_line(&["←", &format!("program {program} (villas-shmem)")]);
    top.until_shown(&format!("peers: node {pid} (villas-shm) alive, program {program} (villas-shmem) alive"));
    top.until_shown("made with: mode pthread, queuelen 64, samplelen 4, spare 64, history 64");
    top.until("no more traffic", |screen| {
        screen.iter().any(|line| line.contains("→        0       0 ········ 0/64"))
            && screen.iter().any(|line| line.contains("←        0       0 ········ 0/64"))
    });
    drop(stdin);
    let (status, _, messages) = running.wait();
    assert!(status.success(), "{messages}");
    // The node removes its region.
    top.until_shown(&format!("nothing in shared memory has \"{}\" in its name", node.region));
}

#[test]
fn bars_show_how_full_queues_and_pools_are() {
    let name = name("bars");
    let config = Config::new().queuelen(8).samplelen(2).spare(8);
    let node = Named::new(&name, Channel::create(&name, &config).unwrap());
    let top = Terminal::new(100, 24, &["top", &name, "--interval", "0.1"]);
    let send = |count: usize| {
        for _ in 0..count {
            let mut sample = vec![node.alloc().unwrap()];
            assert_eq!(node.write(&mut sample).unwrap(), 1);
        }
    };
    top.until_shown("→        0       0 ········ 0/8      ████████");
    send(3);
    top.until_shown(" ███····· 3/8      ███████▎");
    send(5);
    top.until_shown(" ████████ 8/8      ██████··");
    top.until_shown("24 of 32 blocks free");
}

#[test]
fn what_comes_is_shown_and_what_goes_vanishes() {
    let prefix = name("comes");
    let top = Terminal::new(100, 30, &["top", &prefix, "--interval", "0.1"]);
    top.until_shown("0 objects");
    let mut ring = Named::new(&prefix, Ring::<u64>::open(&prefix, Policy::Spsc, Role::Producer, 4).unwrap());
    ring.push(&7).unwrap();
    let path = Path::new("/dev/shm").join(format!("{prefix}-bad"));
    let mut bytes = fs::read(Path::new("/dev/shm").join(&prefix)).unwrap();
    bytes[24] ^= 1;
    fs::write(&path, bytes).unwrap();
    top.until_shown("2 objects: 1 live, 1 corrupt");
    top.until_line(&["ring ", " live ", " ██······ 1/4 ", "producer "]);
    top.until_line(&["ring ", "-bad", " corrupt ", "the ring's header"]);
    fs::remove_file(path).unwrap();
    ring.1.take();
    top.until_shown("1 object: 1 stale");
    top.until_line(&["ring ", " stale "]);
    Ring::unlink(&prefix).unwrap();
    top.until("nothing is left", |screen| screen[0].starts_with("0 objects") && !screen[2].starts_with("ring"));
}

#[test]
fn every_end_gives_the_terminal_back() {
    hang_up_by_default();
    let name = name("ends");
    let key = |keys: &'static str| move |top: &Terminal| top.press(keys);
    let signal = |signal| move |top: &Terminal| top.signal(signal);
    type End<'a> = &'a dyn Fn(&Terminal);
    let ends: [(&str, End<'_>); 6] = [
        ("q", &key("q")),
        ("Esc", &key("\x1b")),
        ("Ctrl-C", &key("\x03")),
        ("SIGTERM", &signal(Signal::SIGTERM)),
        ("SIGINT", &signal(Signal::SIGINT)),
        ("SIGHUP", &signal(Signal::SIGHUP)),
    ];
    for (what, end) in ends {
        let mut top = Terminal::new(80, 24, &["top", &name]);
        top.until_shown("0 objects");
        // The cursor goes after the first screen has come.
        until("the terminal is taken", || top.is_taken() && top.is_raw());
        end(&top);
        let status = top.end();
        assert_eq!(status.code(), Some(0), "{what}: {status}");
        top.assert_restored();
    }
}

#[test]
fn a_terminal_that_changes_its_size_is_filled_anew() {
    let name = name("size");
    let _ring = Named::new(&name, Ring::<u64>::open(&name, Policy::Spsc, Role::Producer, 4).unwrap());
    // Nothing but the size has it draw.
    let mut top = Terminal::new(100, 30, &["top", &name, "--interval", "3600"]);
    top.until("the first screen", |screen| is_help(&screen[29]) && screen[1].contains("PEERS"));
    top.resize(80, 24);
    top.until("80 columns", |screen| is_help(&screen[23]) && screen[1].contains("FREE") && !screen[1].contains("PEERS"));
    top.resize(30, 5);
    top.until("30 columns", |screen| is_help(&screen[4]) && screen[1].ends_with("WRITE/s") && screen[2].contains("live"));
    for (columns, rows) in [(20, 2), (3, 3), (1, 1), (300, 1), (1, 100)] {
        top.resize(columns, rows);
        top.until("something", |screen| screen.len() == rows.into() && screen.iter().any(|line| !line.is_empty()));
    }
    top.resize(120, 40);
    top.until("120 columns", |screen| is_help(&screen[39]) && screen[2].contains(&name) && screen[2].contains(" live "));
    top.press("q");
    assert!(top.end().success());
    top.assert_restored();
}

/// Objects that go with the test.
struct Objects(String, usize);

impl Objects {
    fn new(prefix: &str, count: usize) -> Objects {
        let objects = Objects(prefix.into(), count);
        (0..count).for_each(|at| fs::write(objects.path(at), vec![0; 100 * (at + 1)]).unwrap());
        objects
    }

    fn path(&self, at: usize) -> std::path::PathBuf {
        Path::new("/dev/shm").join(format!("{}-{at:02}-", self.0))
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        (0..self.1).for_each(|at| _ = fs::remove_file(self.path(at)));
    }
}

#[test]
fn keys_scroll_sort_and_filter() {
    let prefix = name("keys");
    let _objects = Objects::new(&prefix, 50);
    let mut top = Terminal::new(80, 24, &["top", &prefix, "--interval", "3600"]);
    // Which object is marked, and which are on the screen.
    let marked = |number: usize, from: usize, to: usize| {
        let wanted = format!("── posix {prefix}-{number:02}- ─");
        top.until(&format!("{number} is marked, {from} to {to} are shown"), |screen| {
            let shown =
                |at: usize| screen[2..].iter().any(|line| line.starts_with("posix ") && line.contains(&format!("-{at:02}-")));
            screen.iter().any(|line| line.starts_with(&wanted))
                && shown(from)
                && shown(to)
                && (from == 0 || !shown(from - 1))
                && (to == 49 || !shown(to + 1))
        });
    };
    // 24 lines, less two above, one below, and eight in which one is shown in full.
    marked(0, 0, 12);
    top.press("\x1b[B\x1b[Bj");
    marked(3, 0, 12);
    top.press("\x1b[A");
    marked(2, 0, 12);
    top.press("\x1b[6~");
    marked(15, 3, 15);
    top.press("\x1b[F");
    marked(49, 37, 49);
    top.press("\x1b[B\x1b[6~");
    marked(49, 37, 49);
    top.press("\x1b[5~");
    marked(36, 36, 48);
    top.press("\x1b[H");
    marked(0, 0, 12);
    // By size, the largest first; the mark stays with its object.
    top.press("ssss");
    let is_at = |at: usize, what: &str| top.until(&format!("{what} is in line {at}"), |screen| screen[at].contains(what));
    top.until_shown("  by size  ");
    is_at(14, "-00-");
    marked(0, 0, 12);
    top.press("\x1b[H");
    marked(49, 37, 49);
    is_at(2, "-49-");
    top.press("r");
    top.until_shown("  by size reversed  ");
    is_at(14, "-49-");
    marked(49, 37, 49);
    top.press("q");
    assert!(top.end().success());
}

#[test]
fn the_filter_is_typed_kept_and_left() {
    let prefix = name("filter");
    let _objects = Objects::new(&prefix, 12);
    let mut top = Terminal::new(100, 30, &["top", &prefix]);
    top.until_shown("12 objects");
    top.press("/-1");
    top.until_shown(&format!("names with: {prefix}-1"));
    // Keys are text now.
    top.press("q\x7f");
    top.press("\r");
    top.until("those with -1", |screen| {
        let shown = |what| screen[2..12].iter().any(|line| line.contains(what));
        screen[0].starts_with("2 objects: ") && shown("-10-") && shown("-11-") && !shown("-01-")
    });
    top.press("/xyz");
    top.until_shown(&format!("names with: {prefix}-1xyz"));
    top.press("\x1b");
    top.until("the help, and the same list", |screen| is_help(&screen[29]) && screen[0].starts_with("2 objects: "));
    top.press("/");
    top.press("\x7f\x7f\r");
    top.until_shown("12 objects: ");
    top.press(" ");
    top.until_shown("paused");
    top.press(" ");
    top.press("+");
    top.until_shown("every 2 s");
    top.press("---");
    top.until_shown("every 0.2 s");
    top.press("q");
    assert!(top.end().success());
}

#[test]
fn a_stopped_top_leaves_the_terminal_to_the_shell_and_comes_back() {
    let name = name("stop");
    let script = "set -m; \"$0\" top \"$1\"; echo \"stopped: $?\"; read go; fg; echo \"ended: $?\"; read go";
    let command = Command::new("sh").args(["-c", script, TOOL, &name]).env("TERM", "xterm-256color");
    let mut shell = Terminal::start(80, 24, command);
    shell.until_shown("0 objects");
    shell.press("\x1a");
    // 128 and the signal's number.
    shell.until_shown(&format!("stopped: {}", 128 + Signal::SIGTSTP as i32));
    shell.assert_restored();
    shell.press("\n");
    shell.until_shown("0 objects");
    until("the terminal is taken again", || shell.is_taken() && shell.is_raw());
    shell.press("q");
    shell.until_shown("ended: 0");
    shell.assert_restored();
    shell.press("\n");
    assert!(shell.end().success());
}

#[test]
fn without_a_terminal_to_draw_on_it_says_what_to_do() {
    let output = tool(&["top"]).assert().code(1).get_output().clone();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("needs a terminal as standard output: \"villas-shm ls\" prints the same once") && output.stdout.is_empty(),
        "{text}"
    );
    for term in ["dumb", ""] {
        let mut top = Terminal::start(80, 24, Command::new(TOOL).arg("top").env("TERM", term));
        assert_eq!(top.end().code(), Some(1));
        top.until_shown("\"villas-shm ls\" prints the same once");
        top.assert_restored();
    }
    for (interval, why) in [("0", "0.05 to 3600"), ("-1", "that is not negative"), ("x", "a number of seconds")] {
        let output = tool(&["top", "--interval", interval]).assert().code(1).get_output().clone();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(why), "{text}");
    }
}

#[test]
fn a_terminal_that_claims_an_impossible_size_is_drawn_on_all_the_same() {
    let name = name("huge");
    let command = Command::new(TOOL).args(["top", &name]).env("TERM", "xterm-256color");
    let mut top = Terminal::start_claiming((u16::MAX, u16::MAX), 80, 24, command);
    // Its lines are wrapped, and scroll away: what stays is the end of the last.
    top.until("all is drawn", |screen| screen[23] == "top");
    top.press("q");
    assert!(top.end().success());
    top.assert_restored();
}

#[test]
fn a_terminal_of_very_many_cells_is_drawn_on_in_its_upper_part() {
    let name = name("wide");
    let mut top = Terminal::new(400, 200, &["top", &name]);
    // The last of 65 535 / 400 lines.
    top.until("the keys are shown", |screen| screen[162].starts_with("q quit"));
    top.until("all is in its place", |screen| screen[0].starts_with("0 objects") && screen[1].starts_with("KIND"));
    top.press("q");
    assert!(top.end().success());
    top.assert_restored();
}

#[test]
fn a_terminal_that_is_gone_with_standard_error_ends_it_well() {
    hang_up_by_default();
    // A hang-up and the errors of the terminal come in any order.
    for round in 0..10 {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(pty_process::Size::new(24, 80)).unwrap();
        let mut top = Command::new(TOOL).args(["top", "--interval", "0.05"]).env("TERM", "xterm-256color").spawn(pts).unwrap();
        let (mut screen, mut piece) = (Vec::new(), [0; 4096]);
        while !String::from_utf8_lossy(&screen).contains("interval") {
            let count = (&pty).read(&mut piece).unwrap();
            screen.extend_from_slice(&piece[..count]);
        }
        drop(pty);
        let mut status = None;
        until("it ends", || {
            status = top.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.unwrap().code(), Some(0), "round {round}: {status:?}");
    }
}

#[test]
fn top_names_signals_as_far_as_there_is_room_and_says_how_many_more() {
    use villas_shm::{Signal, SignalType};
    let name = name("signals");
    let made = |out: &[Signal]| Named::new(&name, Channel::create(&name, &Config::new().out_signals(out.to_vec())).unwrap());
    let mut out = vec![
        Signal::new("u", "V", SignalType::Float),
        Signal::new("on", "", SignalType::Boolean),
        Signal::new("esc\u{202e}", "", SignalType::Float),
    ];
    let few = made(&out);
    let top = Terminal::new(80, 24, &["top", &name, "--interval", "0.1"]);
    top.until_shown("signals →: u[V], on (boolean), esc\\u{202e}");
    drop(few);
    out.extend((3..64).map(|at| Signal::new(format!("load_{at}"), "MW", SignalType::Float)));
    let _many = made(&out);
    top.until_shown("signals →: u[V], on (boolean), esc\\u{202e}, load_3[MW], load_4[MW], … 59 more");
    assert!(!top.text().contains("signals ←"), "{}", top.text());
    top.resize(80, 64);
    top.until_shown("load_22[MW], … 41 more");
    top.resize(30, 24);
    top.until_shown("signals →: u[V], … 63 more");
}
