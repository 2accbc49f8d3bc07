//! Looks at regions of the wire layout while their processes ask which others have them open.

use super::look::look_into;
use super::tests::Unlinked;
use super::{Entry, Kind, State, look, read_bytes};
use crate::sys::object::{Name, Object};
use crate::sys::semaphore::{self, Permissions, Semaphore};
use crate::{Channel, Config, Error};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

fn config() -> Config {
    Config::new().queuelen(4).samplelen(2)
}

/// About seventy questions of a handshake. If the machine stalls for that long, there are too few
/// questions and looks, and the test tries again.
const A_WHILE: Duration = Duration::from_millis(1500);
const TRIES: u32 = 20;

fn name(what: &str) -> String {
    format!("villas-handshake-{what}-{}", std::process::id())
}

/// Runs `work` while another thread looks at an object without a pause; returns how often it saw
/// the object.
fn under_looks<T>(at: &str, work: impl FnOnce() -> T) -> (T, u32) {
    let (is_over, looks) = (AtomicBool::new(false), AtomicU32::new(0));
    let look_on = || {
        let mut entry: Option<Entry> = None;
        while !is_over.load(Relaxed) {
            // Only the first look at an object asks `/proc`: the others follow within microseconds.
            let seen = entry.take().or_else(|| look(at, 0).ok());
            entry = seen.filter(|seen| look_into(&mut seen.clone(), 2).is_ok());
            looks.fetch_add(u32::from(entry.is_some()), Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(look_on), scope.spawn(look_on)];
        let outcome = work();
        is_over.store(true, Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        (outcome, looks.load(Relaxed))
    })
}

/// The other region is there; its process lives and talks to another peer.
#[test]
fn a_look_is_not_taken_for_the_attach_of_a_peer() {
    let (mine, other) = (name("mine"), name("other"));
    let busy = Channel::open_wire(&other, &other, &config(), None).unwrap();
    let mut looks = 0;
    for _ in 0..TRIES {
        let (opened, more) = under_looks(&mine, || Channel::open_wire(&mine, &other, &config(), Some(A_WHILE)));
        let Err(refused) = opened else { panic!("nobody has come") };
        assert!(refused.errno() == libc::ETIMEDOUT && refused.message().contains("busy"), "{refused}");
        looks += more;
        if looks > 100 {
            break;
        }
    }
    assert!(looks > 100, "{looks} looks");
    drop(busy);
}

/// The other region, and a post, are what a killed VILLASnode has left.
#[test]
fn a_look_is_not_taken_for_the_life_of_a_regions_maker() {
    let (mine, other) = (name("after"), name("left"));
    let made = Channel::open_wire(&other, &other, &config(), None).unwrap();
    let mut bytes = vec![0; look(&other, 0).unwrap().size as usize];
    read_bytes(&other, 0, &mut bytes).unwrap();
    drop(made);
    // Without the trailer it does not name its maker.
    let left = Object::unnamed(bytes.len() as u64 - 128, 0o600, None).unwrap();
    nix::sys::uio::pwrite(&left, &bytes[..bytes.len() - 128], 0).unwrap();
    let at = Name::new(&other).unwrap();
    assert!(left.link(&at).unwrap());
    drop(left);
    let _guard = Unlinked(std::slice::from_ref(&other));
    let entry = look(&other, 0).unwrap();
    assert!(entry.kind == Kind::Wire && entry.state != State::Live, "{entry:?}");

    let (mut looks, mut posts) = (0, 0);
    for _ in 0..TRIES {
        let ((refused, more_looks), more_posts) = open_beside_looks_and_posts(&mine, &at);
        let refused = refused.expect("nobody has come");
        assert_eq!(refused.errno(), libc::ETIMEDOUT, "{refused}");
        (looks, posts) = (looks + more_looks, posts + more_posts);
        if looks > 100 && posts > 10 {
            break;
        }
    }
    assert!(looks > 100 && posts > 10, "{looks} looks, {posts} posts");
    semaphore::unlink(&at);
}

/// Opens a channel that reads at `at`, where posts come; returns the error, and the numbers of
/// looks and of posts.
fn open_beside_looks_and_posts(mine: &str, at: &Name) -> ((Option<Error>, u32), u32) {
    let is_over = AtomicBool::new(false);
    let permissions = Permissions { any_owner: false, mode: 0o600, group: None };
    std::thread::scope(|scope| {
        // More than one crash leaves: each post is a reason to look.
        let poster = scope.spawn(|| {
            let mut posts = 0;
            while !is_over.load(Relaxed) {
                Semaphore::open(at, permissions).unwrap().post().unwrap();
                posts += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
            posts
        });
        let other = at.to_string();
        let outcome = under_looks(&other, || Channel::open_wire(mine, &other, &config(), Some(A_WHILE)).err());
        is_over.store(true, Relaxed);
        (outcome, poster.join().unwrap())
    })
}

#[test]
fn handshakes_under_looks_find_their_peer_and_the_channel_works() {
    let (a, b) = (name("a"), name("b"));
    let limit = Some(Duration::from_secs(20));
    let mut looks = 0;
    for _ in 0..TRIES {
        looks += twenty_handshakes_under_looks(&a, &b, limit);
        if looks > 100 {
            break;
        }
    }
    assert!(looks > 100, "{looks} looks");
    for name in [a, b] {
        assert_eq!(look(&name, 0).unwrap_err().errno(), libc::ENOENT);
    }
}

fn twenty_handshakes_under_looks(a: &str, b: &str, limit: Option<Duration>) -> u32 {
    let (_, looks) = under_looks(a, || {
        under_looks(b, || {
            for number in 0..20 {
                let (one, two) = std::thread::scope(|scope| {
                    let one = scope.spawn(|| Channel::open_wire(a, b, &config(), limit).unwrap());
                    (Channel::open_wire(b, a, &config(), limit).unwrap(), one.join().unwrap())
                });
                for (from, to) in [(&one, &two), (&two, &one)] {
                    let mut sample = vec![from.alloc().unwrap()];
                    sample[0].set_sequence(number);
                    assert_eq!(from.write(&mut sample).unwrap(), 1);
                    let mut taken = Vec::new();
                    assert_eq!(to.timed_read(&mut taken, 1, limit).unwrap(), 1);
                    assert_eq!(taken[0].sequence(), number);
                }
            }
        })
    });
    looks
}
