//! Of `sys/object/open`.

use super::*;

/// The probe takes a lease for a moment, in which an open that does not wait fails.
#[test]
fn an_object_can_be_opened_at_any_moment_of_a_probe() {
    let name = Name::new(format!("villas-probe-{}", std::process::id())).unwrap();
    let object = Object::unnamed(4096, 0o600, None).unwrap();
    assert!(object.link(&name).unwrap());
    // SAFETY: the child makes system calls only, until it is killed.
    let child = unsafe { libc::fork() };
    if child == 0 {
        loop {
            object.is_open_elsewhere();
        }
    }
    assert!(child > 0);
    let opened: Vec<Result<()>> = (0..100_000).map(|_| Object::open(&name).map(drop)).collect();
    // SAFETY: this process's child.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, std::ptr::null_mut(), 0);
    }
    name.unlink().unwrap();
    let failed: Vec<_> = opened.into_iter().filter_map(std::result::Result::err).collect();
    assert!(failed.is_empty(), "{} failed: {}", failed.len(), failed[0]);
}
