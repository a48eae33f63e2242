//! Patterns, and the sets of them that an event source mapping has.

use std::{fmt, str::FromStr};

use crate::record::RawRecord;

use super::{
    error::{FilterError, NotARecord, PatternError},
    parse::{Parsed, parse},
    program::Machine,
};

/// A filter pattern of an event source mapping on a DynamoDB stream.
///
/// A pattern has the shape of a record. Its fields must all match; a field matches if one of its alternatives does. What a
/// pattern does not name does not matter.
///
/// ```
/// use anabranch::pattern::Pattern;
///
/// let pattern = Pattern::parse(r#"{"eventName": ["INSERT"], "dynamodb": {"NewImage": {"entityType": {"S": ["PET"]}}}}"#)?;
/// let record = br#"{"eventName":"INSERT","dynamodb":{"NewImage":{"entityType":{"S":"PET"},"weightKg":{"N":"4"}}}}"#;
/// assert!(pattern.matches_json(record)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Pattern {
    pub(super) parsed: Parsed,
    machine: Machine,
}

impl Pattern {
    /// Reads a pattern: JSON of at most [`MAX_CHARACTERS`](super::MAX_CHARACTERS) characters.
    ///
    /// # Errors
    /// What Lambda would refuse (ESM-10); the error says what and where.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let parsed = parse(text)?;
        let machine = Machine::of([&parsed]);
        Ok(Self { parsed, machine })
    }

    /// Whether a record matches.
    ///
    /// A text of the record that cannot be read, because of a broken escape, is there (`exists`) and matches nothing else.
    pub fn matches(&self, record: &RawRecord) -> bool {
        self.machine.matches_record(record)
    }

    /// Whether the JSON of one record matches, as it stands in the `Records` of a Lambda event.
    ///
    /// # Errors
    /// The bytes are no JSON object, as far as they had to be read.
    pub fn matches_json(&self, record: &[u8]) -> Result<bool, NotARecord> {
        self.machine.matches(record)
    }

    /// The pattern as compact JSON.
    pub fn as_str(&self) -> &str {
        &self.parsed.text
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}

impl fmt::Display for Pattern {
    /// Compact JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.as_str()).finish()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

/// The filter patterns of a mapping, of which one has to match (ESM-17). Without patterns everything matches.
///
/// All patterns are looked for in one pass over a record.
///
/// ```
/// use anabranch::pattern::FilterCriteria;
///
/// let criteria = FilterCriteria::parse([r#"{"eventName": ["INSERT"]}"#, r#"{"eventName": ["MODIFY"]}"#])?;
/// assert!(criteria.matches_json(br#"{"eventName":"MODIFY"}"#)?);
/// assert!(!criteria.matches_json(br#"{"eventName":"REMOVE"}"#)?);
/// assert!(FilterCriteria::default().matches_json(br#"{"eventName":"REMOVE"}"#)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct FilterCriteria {
    patterns: Vec<Pattern>,
    machine: Machine,
}

impl FilterCriteria {
    /// How many patterns a mapping may have.
    pub const LIMIT: usize = 5;
    /// How many it may have once AWS has raised the account's quota on request.
    pub const RAISED_LIMIT: usize = 10;

    /// Reads at most [`LIMIT`](Self::LIMIT) patterns.
    ///
    /// # Errors
    /// Too many patterns, or one that is wrong.
    pub fn parse<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<Self, FilterError> {
        Self::parse_with_limit(patterns, Self::LIMIT)
    }

    /// Reads at most so many patterns.
    ///
    /// # Errors
    /// The same.
    pub fn parse_with_limit<S: AsRef<str>>(
        patterns: impl IntoIterator<Item = S>,
        limit: usize,
    ) -> Result<Self, FilterError> {
        let texts: Vec<S> = patterns.into_iter().collect();
        if texts.len() > limit {
            return Err(FilterError::TooMany { patterns: texts.len(), limit });
        }
        let read = |(index, text): (usize, &S)| {
            Pattern::parse(text.as_ref()).map_err(|source| FilterError::Pattern { index, source })
        };
        texts.iter().enumerate().map(read).collect()
    }

    /// The patterns, in order.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Whether there are no patterns, so that everything matches.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether one of the patterns matches, or there is none.
    pub fn matches(&self, record: &RawRecord) -> bool {
        self.is_empty() || self.machine.matches_record(record)
    }

    /// The same for the JSON of one record.
    ///
    /// # Errors
    /// The bytes are no JSON object, as far as they had to be read; without patterns they are not read at all.
    pub fn matches_json(&self, record: &[u8]) -> Result<bool, NotARecord> {
        if self.is_empty() { Ok(true) } else { self.machine.matches(record) }
    }
}

impl Machine {
    /// The wire has read the record, so that its structure is whole, as deep as it goes.
    fn matches_record(&self, record: &RawRecord) -> bool {
        self.matches(record.json()).unwrap_or(false)
    }
}

impl Default for FilterCriteria {
    /// No patterns: everything matches.
    fn default() -> Self {
        Self::from_iter([])
    }
}

impl FromIterator<Pattern> for FilterCriteria {
    /// Without a look at the limit.
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        let patterns: Vec<Pattern> = patterns.into_iter().collect();
        let machine = Machine::of(patterns.iter().map(|pattern| &pattern.parsed));
        Self { patterns, machine }
    }
}

impl fmt::Display for FilterCriteria {
    /// As a SAM or CloudFormation template has them, in YAML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("FilterCriteria:\n  Filters: []\n");
        }
        f.write_str("FilterCriteria:\n  Filters:\n")?;
        self.patterns
            .iter()
            .try_for_each(|pattern| writeln!(f, "    - Pattern: '{}'", pattern.as_str().replace('\'', "''")))
    }
}

impl fmt::Debug for FilterCriteria {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.patterns).finish()
    }
}
