//! The version rule: when a stored row gives way.

use std::sync::Arc;

use super::{AttributeValue, Item, RowWrite};
use crate::record::{PUT_RIGHT, Version};

/// The attribute in which rows carry their version, unless another is chosen.
pub const DEFAULT_VERSION_ATTRIBUTE: &str = "anabranchVersion";

/// The attribute in which a row that is to go by itself says when, unless another is chosen: seconds since 1970, for the
/// table's time to live.
pub const DEFAULT_EXPIRY_ATTRIBUTE: &str = "anabranchExpires";

/// Lets a write through only if the stored row is of an older version.
///
/// The rule, for puts and deletes alike: the row is not there, or it carries no version, or its version is a
/// string that sorts before the write's. An equal version does not give way, so a duplicate changes nothing;
/// neither does a version attribute of another type than string, which nothing here ever writes.
///
/// A put stores its version in the row. A delete leaves nothing that a later, older put would lose against.
///
/// A guard with a [`floor`](Self::floor) asks for more of a row that carries a version. An adapter takes the rule from
/// [`admits`](Self::admits), or makes a condition of the same of [`version`](Self::version) and the floor, and lets
/// [`stamp`](Self::stamp) store what is stored. The conformance suite holds it to that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    attribute: Arc<str>,
    version: String,
    /// What is stored, if it is not the version.
    stamp: Option<String>,
    /// Rows below this stay, and so do those that were put right.
    floor: Option<String>,
}

impl Guard {
    /// What stands for the attribute's name in the condition.
    #[cfg(feature = "dynamodb")]
    pub(super) const NAME: &str = "#version";

    /// Guards by a version that sorts as a string, stored in `attribute`.
    pub fn new(attribute: impl Into<Arc<str>>, version: impl Into<String>) -> Self {
        Self { attribute: attribute.into(), version: version.into(), stamp: None, floor: None }
    }

    /// Lets through over rows only that a change of the stream has written in the generation of this
    /// [`Version`](crate::record::Version): those that came by a snapshot or in an earlier generation, and those that were put right,
    /// may know more than a change whose version is higher.
    pub(crate) fn over_changes(mut self) -> Self {
        self.floor = Some(Version::first_change(&self.version));
        self
    }

    /// Stores the version as one of a row that was put right, by what its item was found to be.
    pub(crate) fn putting_right(mut self) -> Self {
        self.stamp = Some(just_above(&self.version));
        self
    }

    /// The DynamoDB condition of the rule, over [`NAME`](Self::NAME) and [`values`](Self::values()).
    #[cfg(feature = "dynamodb")]
    pub(super) fn condition(&self) -> &'static str {
        match self.floor {
            None => "attribute_not_exists(#version) OR #version < :version",
            Some(_) => {
                "attribute_not_exists(#version) OR (#version < :version AND #version >= :floor AND NOT contains(#version, :right))"
            }
        }
    }

    /// What stands for values in the condition: all of them strings.
    #[cfg(feature = "dynamodb")]
    pub(super) fn values(&self) -> impl Iterator<Item = (&'static str, String)> {
        let floor = self.floor.iter().flat_map(|floor| [(":floor", floor.clone()), (":right", PUT_RIGHT.into())]);
        [(":version", self.version.clone())].into_iter().chain(floor)
    }

    /// Guards by what comes next after a version that is stored: lets through whatever gives way to anything later than that,
    /// the version itself too.
    ///
    /// ```
    /// use anabranch::sink::table::{Guard, item, text};
    ///
    /// let guard = Guard::up_to("version", "2");
    /// let admits = |version| guard.admits(Some(&item([("version", text(version))])));
    /// assert!(admits("1") && admits("2") && !admits("3"));
    /// ```
    pub fn up_to(attribute: impl Into<Arc<str>>, version: &str) -> Self {
        Self::new(attribute, just_above(version))
    }

    /// The attribute that holds the version.
    pub fn attribute(&self) -> &str {
        &self.attribute
    }

    /// The version of the write.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether a stored row gives way.
    pub fn admits(&self, stored: Option<&Item>) -> bool {
        match stored.and_then(|row| row.get(&*self.attribute)) {
            None => true,
            Some(AttributeValue::S(stored)) => {
                let over = |floor: &String| stored >= floor && !stored.contains(PUT_RIGHT);
                *stored < self.version && self.floor.as_ref().is_none_or(over)
            }
            Some(_) => false,
        }
    }

    /// Below this a stored version stays, and so does one with a `~` in it, whose row was put right by what was read later.
    pub fn floor(&self) -> Option<&str> {
        self.floor.as_deref()
    }

    /// Stores the version in the row that is to be put.
    pub fn stamp(&self, write: &mut RowWrite) {
        if let Some(row) = write.row_mut() {
            let version = self.stamp.as_ref().unwrap_or(&self.version);
            row.insert(self.attribute.to_string(), AttributeValue::S(version.clone()));
        }
    }
}

/// What sorts above a version, and below those of all later changes. The two sides of one change stay on one side of it:
/// whoever has read an item has read what it became, so what it joined meanwhile is no news.
pub(crate) fn just_above(version: &str) -> String {
    format!("{version}{PUT_RIGHT}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::table::{item, text};

    fn row(version: AttributeValue) -> Item {
        item([("v", version)])
    }

    #[test]
    fn only_older_rows_give_way() {
        let guard = Guard::new("v", "0002");
        let admits = |version| guard.admits(Some(&row(version)));
        assert!(guard.admits(None));
        assert!(guard.admits(Some(&Item::default())));
        assert!(admits(text("0001")));
        assert!(!admits(text("0002")));
        assert!(!admits(text("0003")));
        assert!(!admits(AttributeValue::N("1".into())));
    }

    /// The rule for changes that come late.
    #[test]
    fn what_may_know_more_than_a_change_stays() {
        let change = |generation, number: &str| Version::stream(generation, "2026", number);
        let guard = Guard::new("v", change(1, "5")).over_changes();
        let admits = |version: &str| guard.admits(Some(&row(text(version))));
        assert!(guard.admits(None) && admits(change(1, "4").as_str()));
        let more = [change(1, "5"), change(1, "6"), change(0, "4"), Version::snapshot(1, 9), Version::snapshot(0, 9)];
        assert!(more.iter().all(|version| !admits(version.as_str())));
        assert!(!admits(&just_above(change(1, "4").as_str())), "put right");
    }

    #[test]
    fn puts_are_stamped_and_deletes_have_nothing_to_stamp() {
        let guard = Guard::new("v", "0002");
        let mut put = RowWrite::put(Item::default(), row(text("of another table")));
        guard.stamp(&mut put);
        assert_eq!(put.row(), Some(&row(text("0002"))));
        guard.clone().putting_right().stamp(&mut put);
        assert_eq!(put.row(), Some(&row(text("0002~"))));
        let mut delete = RowWrite::delete(Item::default());
        guard.stamp(&mut delete);
        assert_eq!(delete.row(), None);
    }
}
