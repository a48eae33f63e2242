//! The body of the fuzz target over a few thousand mutated events, the same ones in every run.

#[path = "fuzz/body.rs"]
mod body;
#[path = "support/mutate.rs"]
mod mutate;

use std::{fs, path::Path};

use mutate::{BYTES, Chance, mutate};

/// How many payloads are made of each seed.
const MUTANTS: usize = 200;

/// Words that matter to this reader.
const WORDS: [&str; 12] = [
    "{\"eventID\":\"",
    ",{\"eventName\":\"INSERT\",",
    "\"SequenceNumber\":\"1\"",
    "\"dynamodb\":{",
    "}}},",
    "]}",
    "]},{",
    "\\\"",
    "\\ud83d",
    "{\"M\":{\"L\":",
    "null",
    "\"Records\":[",
];

fn seeds() -> Vec<Vec<u8>> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["tests/fixtures", "events"].map(|folder| fs::read_dir(top.join(folder)).expect("a folder"));
    let mut paths: Vec<_> = files.into_iter().flatten().map(|file| file.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let written: Vec<_> = paths.iter().map(|path| fs::read(path).expect("a file")).collect();
    // Each once as it was written and once as Lambda would write it.
    let compact = |json: &Vec<u8>| serde_json::from_slice::<serde_json::Value>(json).expect("JSON").to_string();
    written.iter().map(|json| compact(json).into_bytes()).chain(written.clone()).collect()
}

#[test]
fn mutated_events_hold_what_every_payload_must() {
    let (seeds, mut chance) = (seeds(), Chance(0x9E37_79B9_7F4A_7C15));
    assert!(seeds.len() > 20, "the samples are there");
    for seed in &seeds {
        body::check(seed);
        for _ in 0..MUTANTS {
            let mut payload = seed.clone();
            let other = &seeds[chance.below(seeds.len())];
            mutate(&mut payload, other, &WORDS, &mut chance);
            body::check(&payload);
        }
    }
}

#[test]
fn noise_holds_it_too() {
    let mut chance = Chance(0xDEAD_BEEF_CAFE_F00D);
    for _ in 0..20_000 {
        let length = chance.below(80);
        let mut payload = b"{\"Records\":[".to_vec();
        payload.truncate(if chance.below(4) == 0 { 0 } else { payload.len() });
        payload.extend((0..length).map(|_| BYTES[chance.below(BYTES.len())]));
        body::check(&payload);
    }
}

#[test]
fn depth_is_no_danger() {
    for unit in ["[", "{\"a\":", "{\"L\":[", "{\"M\":{\"a\":"] {
        let deep = unit.repeat(50_000);
        body::check(deep.as_bytes());
        body::check(format!("{{\"Records\":[{deep}").as_bytes());
        let change =
            format!("{{\"eventName\":\"INSERT\",\"dynamodb\":{{\"SequenceNumber\":\"1\",\"NewImage\":{{\"a\":{deep}");
        body::check(format!("{{\"Records\":[{change}").as_bytes());
    }
}
