//! Generated batches, the same on every run.
//!
//! A: PetTracker records, 40 % insert, 50 % modify, 10 % remove, 13 attributes with maps, lists and sets.
//! M: the same as three entity types. K: keys only. C: items of 10 KB, most of it binary.

#![allow(dead_code, reason = "each benchmark uses its own part of the support code")]

use std::fmt::Write;

/// A batch and what it consists of.
pub(crate) struct Batch {
    /// The event as Lambda would deliver it.
    pub(crate) body: Vec<u8>,
    /// How many records it has.
    pub(crate) records: usize,
}

/// Numbers that look like chance and are none.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64, as published by Steele, Lea and Flood (2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// PetTracker records up to a size in bytes.
pub(crate) fn pets(bytes: usize) -> Batch {
    until(bytes, |chance, n| record(chance, n, |chance, n| pet(chance, n, "PET")))
}

/// The same as three entity types.
pub(crate) fn mixed(bytes: usize) -> Batch {
    until(bytes, |chance, n| {
        let entity = ["PET", "ACTIVITY", "USER"][n % 3];
        record(chance, n, move |chance, n| pet(chance, n, entity))
    })
}

/// Records without images.
pub(crate) fn keys_only(records: usize) -> Batch {
    let mut chance = Chance(1);
    let records: Vec<_> = (0..records).map(|n| keys_record(&mut chance, n)).collect();
    batch(records)
}

/// Items of 10 KB, most of it binary, up to a size in bytes.
pub(crate) fn binary(bytes: usize) -> Batch {
    until(bytes, |chance, n| record(chance, n, photo))
}

/// As many pets as come to a size in bytes, as the items of a page.
pub(crate) fn items(bytes: usize) -> Batch {
    let (mut chance, mut size, mut items) = (Chance(1), 0, Vec::new());
    while size < bytes {
        let next = pet(&mut chance, items.len(), "PET");
        size += next.len() + 1;
        items.push(next);
    }
    Batch { body: items.join(",").into_bytes(), records: items.len() }
}

fn until(bytes: usize, record: impl Fn(&mut Chance, usize) -> String) -> Batch {
    let (mut chance, mut size, mut records) = (Chance(1), 0, Vec::new());
    while size < bytes {
        let next = record(&mut chance, records.len());
        size += next.len() + 1;
        records.push(next);
    }
    batch(records)
}

fn batch(records: Vec<String>) -> Batch {
    let body = format!("{{\"Records\":[{}]}}", records.join(",")).into_bytes();
    Batch { body, records: records.len() }
}

fn record(chance: &mut Chance, n: usize, image: impl Fn(&mut Chance, usize) -> String) -> String {
    let kind = chance.below(10);
    let (name, new, old) = match kind {
        0..4 => ("INSERT", true, false),
        4..9 => ("MODIFY", true, true),
        _ => ("REMOVE", false, true),
    };
    let mut images = String::new();
    for (part, present) in [("NewImage", new), ("OldImage", old)] {
        if present {
            write!(images, r#""{part}":{},"#, image(chance, n)).expect("a string takes all");
        }
    }
    envelope(n, name, &images, "NEW_AND_OLD_IMAGES")
}

fn keys_record(chance: &mut Chance, n: usize) -> String {
    envelope(n, ["INSERT", "MODIFY", "REMOVE"][chance.below(3) as usize], "", "KEYS_ONLY")
}

/// As AWS writes it: the same fields in the same order.
fn envelope(n: usize, name: &str, images: &str, view: &str) -> String {
    format!(
        r#"{{"eventID":"{n:032x}","eventName":"{name}","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-west-1","dynamodb":{{"ApproximateCreationDateTime":1.763692800E9,"Keys":{{"SK":{{"S":"PET#{n:08}"}},"PK":{{"S":"USER#{:08}"}}}},{images}"SequenceNumber":"{:027}","SizeBytes":512,"StreamViewType":"{view}"}},"eventSourceARN":"arn:aws:dynamodb:eu-west-1:123456789012:table/PetTracker/stream/2026-11-21T00:00:00.000"}}"#,
        n / 7,
        420_940_000_000_000_000 + n
    )
}

fn pet(chance: &mut Chance, n: usize, entity: &str) -> String {
    let (weight, age, cost) = (chance.below(9_000), chance.below(20), chance.below(30_000));
    format!(
        r#"{{"species":{{"S":"{}"}},"visits":{{"L":[{{"M":{{"at":{{"S":"2026-01-02"}},"cost":{{"N":"{}.{:02}"}}}}}},{{"M":{{"at":{{"S":"2026-03-04"}},"cost":{{"N":"12"}}}}}}]}},"SK":{{"S":"PET#{n:08}"}},"address":{{"M":{{"street":{{"S":"{} Long Road"}},"city":{{"S":"Bristol"}},"zip":{{"S":"BS1 4DJ"}}}}}},"ownerNote":{{"NULL":true}},"entityType":{{"S":"{entity}"}},"vaccinated":{{"BOOL":{}}},"PK":{{"S":"USER#{:08}"}},"name":{{"S":"Pet number {n}"}},"weightKg":{{"N":"{}.{:02}"}},"ageYears":{{"N":"{age}"}},"tags":{{"SS":["indoor","friendly","chipped"]}},"timestamp":{{"S":"2026-11-21T02:40:00Z"}}}}"#,
        ["cat", "dog", "parrot"][chance.below(3) as usize],
        cost / 100,
        cost % 100,
        chance.below(300),
        chance.below(2) == 1,
        n / 7,
        weight / 100,
        weight % 100,
    )
}

fn photo(chance: &mut Chance, n: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let photo: String = (0..13_312).map(|_| char::from(ALPHABET[chance.below(64) as usize])).collect();
    format!(
        r#"{{"PK":{{"S":"USER#{:08}"}},"SK":{{"S":"PET#{n:08}"}},"entityType":{{"S":"PHOTO"}},"width":{{"N":"1024"}},"photo":{{"B":"{photo}"}}}}"#,
        n / 7
    )
}
