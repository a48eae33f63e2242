//! Reading an image that the view lacks.

use anabranch::record::{Change, KeysOnly, NewImage, Record};

struct Pet {
    name: String,
}

fn before(record: Record<Pet, NewImage>) -> Option<String> {
    match record.change {
        Change::Modify { old, .. } => Some(old.name),
        _ => None,
    }
}

fn after(record: Record<Pet, KeysOnly>) -> Option<String> {
    match record.change {
        Change::Insert { new } => Some(new.name),
        _ => None,
    }
}

fn main() {}
