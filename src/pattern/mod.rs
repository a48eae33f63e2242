//! Filter patterns: which records of a stream reach a function.

mod build;
mod criteria;
mod decimal;
mod error;
mod explain;
mod json;
mod marks;
mod operator;
mod parse;
mod program;
mod scan;
mod shape;
mod warning;

#[cfg(test)]
mod tests;

pub use build::{Attribute, Condition, Filter, Scalar, Type, attribute};
pub use criteria::{FilterCriteria, Pattern};
pub use error::{FilterError, MAX_CHARACTERS, NotARecord, PatternError, PatternReason};
pub use explain::{Branch, Explanation, Finding};
pub use warning::{Trap, Warning};
