#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    villas_shm_fuzz::feed(villas_shm_fuzz::line, bytes);
});
