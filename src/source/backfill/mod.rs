#![doc = include_str!("../../docs/backfill.md")]

mod cursor;
mod error;
mod expiry;
mod function;
mod history;
mod job;
mod pace;
mod plan;
mod slice;
mod table;
#[cfg(test)]
mod tests;
pub mod verify;

/// What the function's role must allow on the table that is read.
pub const ACTIONS: &[&str] = &["dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:Scan"];

pub use cursor::{Counts, SliceCursor};
pub use error::BackfillError;
pub use function::{Answer, Ask, BackfillFunction, FunctionError, Phase};
pub use history::{History, Portion, Rates};
pub use job::Job;
pub use plan::{Plan, PlanError, TableFacts, Wish};
pub use slice::{Backfill, Slice};
pub use table::TableHistory;
