#![doc = include_str!("../../docs/backfill.md")]

mod cursor;
mod error;
mod history;
mod job;
mod slice;
mod table;

pub use cursor::{Counts, SliceCursor};
pub use error::BackfillError;
pub use history::{History, Portion};
pub use job::Job;
pub use slice::{Backfill, Slice};
pub use table::TableHistory;
