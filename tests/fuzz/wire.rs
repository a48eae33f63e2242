//! Fuzzes the wire reader: splitting, decoding, recovering.

#![no_main]

#[path = "body.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| body::check(payload));
