//! Fuzzes `thalweg::fuzz::manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| thalweg::fuzz::manifest(data));
