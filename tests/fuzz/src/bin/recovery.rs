//! Fuzzes `thalweg::fuzz::recovery`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| thalweg::fuzz::recovery(data));
