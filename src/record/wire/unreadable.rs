//! A record that cannot be read, kept whole.

use std::fmt;

use bytes::Bytes;

use super::{
    envelope::{Fault, FaultReason},
    error::{RecordError, RecordReason},
    path, recover,
};

/// A record that cannot be read: all of its bytes, and the reason.
///
/// `Display` says where and why. `Debug` and `Display` show no content.
#[derive(thiserror::Error)]
#[error("{}", .0.error)]
pub struct UnreadableRecord(Box<Inner>);

struct Inner {
    position: u32,
    json: Bytes,
    sequence_number: Option<String>,
    error: RecordError,
}

impl UnreadableRecord {
    /// Finds out what is wrong with a record whose fault is at an offset of it.
    pub(super) fn new(json: Bytes, position: u32, fault: Fault, last: bool) -> Self {
        let (at, reason) = match fault.reason {
            FaultReason::Meaning(reason) => (fault.at, reason),
            FaultReason::Structure => diagnose(&json, fault.at, last),
        };
        let mut path = format!("Records[{position}]");
        path::append(&mut path, &json, at);
        let sequence_number = recover::sequence_number(&json);
        Self(Box::new(Inner { position, json, sequence_number, error: RecordError::new(path, reason) }))
    }

    /// Its index in the batch, from 0.
    pub fn position(&self) -> usize {
        self.0.position as usize
    }

    /// The record as it came, for a dead letter. If its end could not be told, everything up to the next record.
    pub fn json(&self) -> &Bytes {
        &self.0.json
    }

    /// The record's sequence number, if it could be salvaged beyond doubt.
    pub fn sequence_number(&self) -> Option<&str> {
        self.0.sequence_number.as_deref()
    }

    /// Where and why it cannot be read.
    pub fn error(&self) -> &RecordError {
        &self.0.error
    }
}

impl fmt::Debug for UnreadableRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnreadableRecord")
            .field("position", &self.0.position)
            .field("sequence_number", &self.0.sequence_number)
            .field("error", &self.0.error)
            .finish_non_exhaustive()
    }
}

/// Lets a second parser, slow and exact, say what is wrong with a text and where.
fn diagnose(json: &[u8], at: usize, last: bool) -> (usize, RecordReason) {
    match serde_json::from_slice::<serde::de::IgnoredAny>(json) {
        Err(error) if error.is_eof() && last => (json.len(), RecordReason::Truncated),
        Err(error) => {
            (offset(json, error.line(), error.column()), RecordReason::Syntax { what: without_place(&error) })
        }
        Ok(_) => (at, RecordReason::Syntax { what: "not an object, or nested too deeply".to_owned() }),
    }
}

/// `serde_json` counts lines, and columns in bytes, from 1; the column is behind the last byte it looked at.
fn offset(json: &[u8], line: usize, column: usize) -> usize {
    let line_start =
        json.split_inclusive(|&byte| byte == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum::<usize>();
    (line_start + column).saturating_sub(1)
}

fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split_once(" at line ").map_or(text.as_str(), |(what, _)| what).to_owned()
}
