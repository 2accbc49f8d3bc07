//! Any bytes as a region in VILLASnode's layout. The corpus begins with those that VILLASnode wrote (`tests/wire/images`).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| villas_shm::fuzzing::wire(bytes));
