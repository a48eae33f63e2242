//! What a comparison has found.

use std::fmt;

use serde::Serialize;

use crate::sink::table::{Difference, Item};

/// So many findings are kept; all of them are counted, and told as they are found.
pub(super) const MOST_KEPT: usize = 100;

/// A difference that has stayed.
///
/// `Display` and `Debug` say what differs and never from what, nor of which item: values and keys are users' data. Ask
/// [`key`](Self::key) for the item.
#[derive(Clone, PartialEq)]
pub struct Finding {
    pub(super) subject: Subject,
    pub(super) difference: Difference,
    pub(super) repair: Repair,
}

/// What a finding is about.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Subject {
    /// The item of the source.
    pub(super) key: Option<Item>,
    /// A row of the target, if it is one that no item leads to.
    pub(super) row: Option<Item>,
}

/// What was done about a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// Nothing: it was not asked for.
    No,
    /// The target is right now.
    Done,
    /// The target is still not right, for this reason.
    Failed(String),
}

impl Finding {
    /// How the target differs.
    pub fn difference(&self) -> &Difference {
        &self.difference
    }

    /// What was done about it.
    pub fn repair(&self) -> &Repair {
        &self.repair
    }

    /// The keys of the source's item, or, of a row that no item leads to, those of the row.
    pub fn key(&self) -> Option<&Item> {
        self.subject.key.as_ref().or(self.subject.row.as_ref())
    }

    /// `missing`, `extra` or `different`.
    pub fn kind(&self) -> &'static str {
        match self.difference {
            Difference::Missing => "missing",
            Difference::Extra => "extra",
            Difference::Different { .. } => "different",
        }
    }

    /// The names of the attributes that differ.
    pub fn attributes(&self) -> &[String] {
        match &self.difference {
            Difference::Different { attributes } => attributes,
            _ => &[],
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.difference)?;
        match &self.repair {
            Repair::No => Ok(()),
            Repair::Done => f.write_str("; put right"),
            Repair::Failed(why) => write!(f, "; not put right: {why}"),
        }
    }
}

impl fmt::Debug for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { difference, repair, .. } = self;
        f.debug_struct("Finding").field("difference", difference).field("repair", repair).finish_non_exhaustive()
    }
}

/// What a comparison has come to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Rows of the source that were compared with the target.
    pub source: u64,
    /// Rows of the target that were compared with the source.
    pub target: u64,
    /// Rows of an aggregate that were compared with the sum of their items.
    pub totals: u64,
    /// Rows of the source that were left out because they are expired.
    pub expired: u64,
    /// Items that their handler would reject: nobody can tell what the target should have of them.
    pub unreadable: u64,
    /// Items and sums that differed at every look, and from one to the next had changed: on their way, as far as anybody can tell.
    pub moving: u64,
    /// What the target lacks.
    pub missing: u64,
    /// What the target has, and should not have.
    pub extra: u64,
    /// What the target has otherwise than it should.
    pub different: u64,
    /// Those of the three that are right now, since they were repaired.
    pub repaired: u64,
    /// Read units of both tables: of pages as the service says, of rows by key as their sizes say.
    pub units: f64,
    /// The first hundred findings.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

impl Report {
    /// How many differences were found.
    pub fn differences(&self) -> u64 {
        self.missing + self.extra + self.different
    }

    /// Whether the target is as it should be: nothing was found, or all of it is repaired.
    pub fn is_equal(&self) -> bool {
        self.differences() == self.repaired
    }

    pub(super) fn add(&mut self, finding: &Finding) {
        match finding.difference {
            Difference::Missing => self.missing += 1,
            Difference::Extra => self.extra += 1,
            Difference::Different { .. } => self.different += 1,
        }
        self.repaired += u64::from(finding.repair == Repair::Done);
        if self.findings.len() < MOST_KEPT {
            self.findings.push(finding.clone());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, target, totals, missing, extra, different, repaired, .. } = self;
        write!(f, "{source} items and {target} rows compared")?;
        if *totals > 0 {
            write!(f, ", {totals} sums")?;
        }
        match self.differences() {
            0 => f.write_str(": equal")?,
            _ => write!(f, ": {missing} missing, {extra} extra, {different} different, {repaired} of them put right")?,
        }
        let others = [(self.moving, "being changed"), (self.expired, "expired"), (self.unreadable, "unreadable")];
        others.into_iter().filter(|(count, _)| *count > 0).try_for_each(|(count, what)| write!(f, "; {count} {what}"))
    }
}
