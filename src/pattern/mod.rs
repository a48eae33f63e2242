//! Filter patterns: which records of a stream reach a function.
//!
//! [`Pattern::parse`] reads the language of `FilterCriteria` as Lambda has it for DynamoDB streams; a [`FilterCriteria`] is a mapping's
//! set of patterns. [`matches`](FilterCriteria::matches) walks a record's bytes once and skips by their structure what no pattern asks
//! for: nothing is decoded. [`Pattern::explain`] tells why a record matches or does not, [`Pattern::warnings`] of the traps that Lambda
//! sets, and [`Filter`] builds the patterns that are mostly used.
//!
//! The chapter [`filters`](crate::docs::filters) has the language, the traps, and the command line's part.

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
