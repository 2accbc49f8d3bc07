//! Of `sys/descriptors`.

use super::*;

#[test]
fn an_entry_is_lost_when_a_younger_object_has_its_number() {
    let (first, second) = (Registration::new().unwrap(), Registration::new().unwrap());
    let number = 1 << 20;
    first.hold(number, false);
    assert!(first.is_held());
    second.hold(number, true);
    assert!(!first.is_held() && second.is_held());
    drop(first);
    assert!(second.is_held());
}

#[test]
fn the_list_grows() {
    let all: Vec<Registration> = (0..3 * PER_PAGE).map(|_| Registration::new().unwrap()).collect();
    let mut places: Vec<*const Listed> = all.iter().map(|one| ptr::from_ref(one.0)).collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), all.len());
}

#[test]
fn each_descriptor_is_found() {
    let open: Vec<_> = (0..100).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
    let found = std::sync::Mutex::new(std::collections::HashSet::new());
    for_each_descriptor(|fd| assert!(found.lock().unwrap().insert(fd), "{fd} came twice"));
    let found = found.into_inner().unwrap();
    for file in &open {
        assert!(found.contains(&std::os::fd::AsRawFd::as_raw_fd(file)));
    }
}
