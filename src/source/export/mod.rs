#![doc = include_str!("../../docs/export.md")]

mod batches;
mod bridge;
mod chain;
mod cursor;
mod error;
mod file;
#[cfg(feature = "dynamodb")]
mod history;
mod line;
mod manifest;
mod open;

pub use batches::{Batches, DEFAULT_BATCH_BYTES, DEFAULT_BATCH_RECORDS, DEFAULT_CONCURRENCY, ExportBatch};
pub use bridge::Bridge;
pub use cursor::{Counters, Cursor};
pub use error::{ExportError, LineReason};
#[cfg(feature = "dynamodb")]
pub use history::{ExportHistory, FilePlace};
pub use manifest::Kind;
pub use open::Export;
