#![no_main]

libfuzzer_sys::fuzz_target!(init: villas_shm_fuzz::begin(), |bytes: &[u8]| {
    villas_shm_fuzz::feed(villas_shm_fuzz::open_ring, bytes);
});
