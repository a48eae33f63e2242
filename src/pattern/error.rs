//! What can be wrong with a pattern.

use super::json::Broken;

/// The longest pattern that Lambda accepts, in characters.
pub const MAX_CHARACTERS: usize = 4_096;

/// How many conditions the alternatives of `$or` may multiply to, over all combinations of one pattern.
pub(super) const MAX_CONDITIONS: usize = 4_096;

/// A text is no filter pattern: what is wrong, and where.
///
/// Names of fields are quoted, values are not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", place(path, *offset))]
pub struct PatternError {
    path: String,
    offset: usize,
    reason: PatternReason,
}

fn place(path: &str, offset: usize) -> String {
    if path.is_empty() { format!("at offset {offset}") } else { format!("{path} (offset {offset})") }
}

impl PatternError {
    pub(super) fn new(path: &[String], offset: usize, reason: PatternReason) -> Self {
        Self { path: path.join("."), offset, reason }
    }

    /// The names of the fields around the error, such as `dynamodb.NewImage.weightKg.N`; empty for the pattern as a whole.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where in the pattern, in bytes from its beginning.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// What is wrong.
    pub fn reason(&self) -> &PatternReason {
        &self.reason
    }

    /// What Lambda answers when an event source mapping is created or updated with such a pattern (ESM-10).
    pub fn aws_message(&self) -> &'static str {
        "Invalid filter pattern definition."
    }
}

impl From<Broken> for PatternError {
    fn from(broken: Broken) -> Self {
        Self::new(&broken.path, broken.offset, PatternReason::NotJson { expected: broken.expected })
    }
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternReason {
    /// It is longer than [`MAX_CHARACTERS`].
    #[error("a pattern has at most {MAX_CHARACTERS} characters, this one has {characters}")]
    TooLong {
        /// How many it has.
        characters: usize,
    },
    /// It is not JSON.
    #[error("not JSON: expected {expected}")]
    NotJson {
        /// What should stand there.
        expected: &'static str,
    },
    /// The pattern as a whole is something else than an object.
    #[error("a pattern is an object, not {found}")]
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// An object without members.
    #[error("an empty object matches nothing and is refused")]
    EmptyObject,
    /// A field with neither an object nor an array.
    #[error("a field has an object with further fields or an array of alternatives, not {found}")]
    BareValue {
        /// What it has.
        found: &'static str,
    },
    /// A field with an empty array.
    #[error("an empty array matches nothing and is refused")]
    NoAlternatives,
    /// An array among the alternatives of a field.
    #[error("an alternative is a text, a number, a boolean, null or an operator, not an array")]
    NestedArray,
    /// An operator of this name is not known. Names are case-sensitive.
    #[error("there is no operator {name:?}")]
    UnknownOperator {
        /// As it was written.
        name: String,
    },
    /// An operator was given what it cannot work with.
    #[error("{operator} takes {expected}")]
    BadOperand {
        /// The operator.
        operator: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// `$or` without at least two objects.
    #[error("$or takes an array of at least two objects")]
    BadOr,
    /// The name of an operator as the name of a field within `$or`.
    #[error("{name:?} is an operator, and within $or no name of a field")]
    OperatorAsField {
        /// The operator.
        name: String,
    },
    /// The alternatives of all `$or` multiply to more than can be held.
    #[error("the alternatives of $or multiply to more than {MAX_CONDITIONS} conditions")]
    TooComplex,
}

/// A list of patterns is no set of filter criteria.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// More patterns than the quota allows.
    #[error("a mapping has at most {limit} filter patterns, this one has {patterns}")]
    TooMany {
        /// How many there are.
        patterns: usize,
        /// How many there may be.
        limit: usize,
    },
    /// One of the patterns is wrong.
    #[error("filter pattern {} is wrong", index + 1)]
    Pattern {
        /// Its place in the list, from 0.
        index: usize,
        /// What is wrong with it.
        source: PatternError,
    },
}

/// The text is no record: JSON that is broken, or no object.
///
/// Only what has to be read to tell whether a record matches is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record is no JSON object, broken at offset {offset} or before")]
pub struct NotARecord {
    /// Where reading ended, in bytes.
    pub offset: usize,
}
