//! Of `sys/object/byte_locks`.

use super::*;
use crate::sys::object::Name;

#[test]
fn a_lock_on_all_bytes_says_that_nobody_holds_any() {
    let name = Name::new(format!("villas-locks-{}", std::process::id())).unwrap();
    let made = Object::unnamed(4096, 0o600, None).unwrap();
    assert!(made.link(&name).unwrap());
    let (one, other) = (Object::open(&name).unwrap(), Object::open(&name).unwrap());
    name.unlink().unwrap();
    let seen = || (made.is_locked(7), made.has_any_lock(), made.is_being_removed());
    assert_eq!(seen(), (false, false, false));
    assert!(one.lock(7).unwrap() && !other.lock_all().unwrap());
    assert_eq!(seen(), (true, true, false));
    assert!(!made.is_locked(8));
    one.unlock(7);
    assert!(other.lock_all().unwrap() && !one.lock(7).unwrap());
    assert_eq!(seen(), (false, true, true));
}
