//! Of `sys/process`.

use super::*;

/// Without an emulator all sources give the same.
#[test]
fn a_process_reads_the_same_start_time_of_itself_as_others_read_of_it() {
    let me = std::process::id();
    let own = status(me).unwrap();
    assert_eq!((Identity::look_up().start_time, false), (own.start_time, own.is_zombie));
    for path in ["/proc/self/stat".to_string(), format!("/proc/{me}/stat"), format!("/proc/self/task/{me}/stat")] {
        assert_eq!(status_in(format_args!("{path}")), Some(own), "{path}");
    }
    // The longest possible path.
    assert_eq!(status(u32::MAX), None);
}

#[test]
fn a_start_time_from_another_source_says_nothing() {
    let me = Identity::look_up();
    assert!(me.is_comparable(&me) && !me.is_gone(&me, true));
    // Another process had the pid before.
    let earlier = Identity { start_time: me.start_time - 1, ..me };
    assert!(earlier.is_gone(&me, true) && !earlier.is_gone(&me, false));
    // This process, as it reads itself under an emulator.
    let elsewhere = Identity { namespace: me.namespace ^ SOURCE, ..earlier };
    assert!(!elsewhere.is_comparable(&me) && !elsewhere.is_gone(&me, true));
    for unknown in [Identity { start_time: 0, ..earlier }, Identity { namespace: 0, ..earlier }] {
        assert!(!unknown.is_gone(&me, true) && !earlier.is_gone(&unknown, true));
    }
}

/// Its locks are gone as soon as it is a zombie, unless a child has them that was not made by `fork`.
#[test]
fn a_zombie_is_gone_for_a_thorough_check_only() {
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    let me = Identity::look_up();
    let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    let it = Identity { pid: child.id(), start_time: status(child.id()).unwrap().start_time, ..me };
    assert!(!it.is_gone(&me, false) && !it.is_gone(&me, true));
    drop(child.stdin.take());
    waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
    assert!(!it.is_gone(&me, false) && it.is_gone(&me, true));
    assert!(child.wait().unwrap().success());
    assert!(it.is_gone(&me, false) && it.is_gone(&me, true));
}
