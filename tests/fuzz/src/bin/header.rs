//! Fuzzes `thalweg::fuzz::header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| thalweg::fuzz::header(data));
