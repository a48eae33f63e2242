#![doc = include_str!("../../docs/backfill.md")]

mod cursor;
mod error;
mod function;
mod history;
mod job;
mod plan;
mod slice;
mod table;

pub use cursor::{Counts, SliceCursor};
pub use error::BackfillError;
pub use function::{Answer, Ask, BackfillFunction, FunctionError};
pub use history::{History, Portion};
pub use job::Job;
pub use plan::{Plan, PlanError, TableFacts, Wish};
pub use slice::{Backfill, Slice};
pub use table::TableHistory;
