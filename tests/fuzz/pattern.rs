//! Fuzzes filter patterns: parsing, matching, explaining. The input is a pattern, a zero byte, and a record.

#![no_main]

#[path = "pattern_body.rs"]
mod pattern_body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pattern_body::check(bytes));
