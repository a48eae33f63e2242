//! The way out for records that no redelivery will help.
//!
//! A reject leaves the stream for good only when a [`DeadLetterSink`] has
//! acknowledged the whole original record. Until then it is a retry.
//!
//! What a sink keeps is one JSON document per letter, the same in every
//! adapter ([`DeadLetter::to_json`]), which [`DeadLetter::from_json`] reads
//! back byte for byte:
//!
//! ```
//! use anabranch::sink::dead_letter::DeadLetter;
//! use std::time::SystemTime;
//!
//! let record = r#"{"eventID":"e1","eventName":"INSERT"}"#;
//! let letter = DeadLetter::new(record, "no `dynamodb` object", "replicate", SystemTime::now());
//! let document = letter.to_json();
//! assert!(document.contains(record), "readable as it is");
//! assert_eq!(DeadLetter::from_json(&document)?, letter);
//! # Ok::<(), anabranch::sink::dead_letter::DeadLetterError>(())
//! ```

mod document;
mod error;
mod json_lines;
mod letter;
mod memory;
#[cfg(feature = "sqs")]
mod sqs;

pub use document::SCHEMA;
pub use error::DeadLetterError;
pub use json_lines::{AppendFile, JsonLines, read_json_lines};
pub use letter::DeadLetter;
pub use memory::Memory;
#[cfg(feature = "sqs")]
pub use sqs::Sqs;

use futures_util::future::BoxFuture;

/// What the function's role must allow on the queue, behind SQS.
pub const ACTIONS: &[&str] = &["sqs:SendMessage"];

/// Takes letters and says of each whether it is safely kept.
///
/// Delivery is at least once: a letter whose result is an error, or whose call
/// was dropped half-way, may have been kept all the same.
pub trait DeadLetterSink: Send + Sync + 'static {
    /// Keeps every letter, and answers with one result per letter in the same order.
    ///
    /// `Ok` means that the letter outlives this process. An adapter never cuts a
    /// letter to make it fit; it answers [`DeadLetterError::TooLarge`].
    fn send<'a>(&'a self, letters: &'a [DeadLetter]) -> BoxFuture<'a, Vec<Result<(), DeadLetterError>>>;
}

impl<S: DeadLetterSink + ?Sized> DeadLetterSink for std::sync::Arc<S> {
    fn send<'a>(&'a self, letters: &'a [DeadLetter]) -> BoxFuture<'a, Vec<Result<(), DeadLetterError>>> {
        S::send(self, letters)
    }
}
