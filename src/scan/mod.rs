#![doc = include_str!("../docs/scan.md")]

mod answer;
mod batches;
mod cursor;
mod error;
mod expression;
mod gate;
mod items;
mod job;
mod keys;
mod pace;
mod page;
mod pages;
mod progress;
mod read;
mod request;
mod segment;
mod workers;

#[cfg(test)]
mod tests;

pub use cursor::{Checkpoint, Cursor, CursorMismatch};
pub use error::{ItemError, ScanError};
pub use items::Items;
pub use job::{Job, JobError, Message, Report};
pub use keys::key_names;
pub use pace::{Bucket, SinkRate, Slowest};
pub use page::Page;
pub use pages::Pages;
pub use progress::Progress;
pub use read::{OnePartition, Query, Read, Scan, Whole};
