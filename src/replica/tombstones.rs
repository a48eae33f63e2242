//! What a deleted row leaves behind.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::sink::{
    ledger::Term,
    table::{AttributeValue, DEFAULT_EXPIRY_ATTRIBUTE, Item},
};

/// The attribute that tells a tombstone from a row: when the row went, in seconds since 1970.
pub const TOMBSTONE_ATTRIBUTE: &str = "anabranchDeleted";

/// Deleted rows leave a tombstone behind: the row's keys, the version of its deletion, [`TOMBSTONE_ATTRIBUTE`], and the time
/// at which the table's time to live may take it away.
///
/// Whatever is older than the deletion loses against it, however late it comes: writes of late workers, rows of a snapshot.
/// In return readers of the table have to pass tombstones over ([`is_tombstone`]), and the table needs time to live on the
/// attribute [`DEFAULT_EXPIRY_ATTRIBUTE`], or [another](Self::attribute).
#[derive(Clone)]
pub struct Tombstones {
    keep: Duration,
    attribute: Arc<str>,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl Tombstones {
    /// Tombstones that stay for `keep`, counted from when the deletion is handled.
    ///
    /// Longer than anything older can be on its way: a stream keeps records for 24 hours, a dead letter queue for up to 14
    /// days, and a backfill takes as long as it takes. Fifteen days suit most tables; a week does where no dead letter is handed
    /// over again after that.
    pub fn keep(keep: Duration) -> Self {
        Self { keep, attribute: DEFAULT_EXPIRY_ATTRIBUTE.into(), clock: Arc::new(SystemTime::now) }
    }

    /// Says in which attribute the table's time to live finds when a tombstone expires. No attribute of rows: a row that
    /// had it would expire by it.
    #[must_use]
    pub fn attribute(self, name: impl Into<Arc<str>>) -> Self {
        Self { attribute: name.into(), ..self }
    }

    /// Reads the time from another clock than the system's: for tests.
    #[must_use]
    pub fn clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// The tombstone of the row with this key.
    pub(super) fn of(&self, key: &Item) -> Item {
        let term = Term::new((self.clock)(), self.keep);
        let mut stone = key.clone();
        stone.insert(TOMBSTONE_ATTRIBUTE.to_owned(), AttributeValue::N(term.now().to_string()));
        stone.insert(self.attribute.to_string(), AttributeValue::N(term.until().to_string()));
        stone
    }
}

impl fmt::Debug for Tombstones {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tombstones")
            .field("keep", &self.keep)
            .field("attribute", &self.attribute)
            .finish_non_exhaustive()
    }
}

/// Whether a row of a replica only says that its item is gone.
pub fn is_tombstone(row: &Item) -> bool {
    row.contains_key(TOMBSTONE_ATTRIBUTE)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::sink::table::{item, text};

    #[test]
    fn a_tombstone_says_when_it_goes() {
        let now = UNIX_EPOCH + Duration::from_millis(1_000_500);
        let stones = Tombstones::keep(Duration::from_secs(100)).attribute("ttl").clock(move || now);
        let key = item([("PK", text("a"))]);
        let stone = stones.of(&key);
        let number = |text: &str| AttributeValue::N(text.into());
        let expected = [("PK", text("a")), (TOMBSTONE_ATTRIBUTE, number("1000")), ("ttl", number("1101"))];
        assert_eq!(stone, item(expected));
        assert!(is_tombstone(&stone) && !is_tombstone(&key));
    }
}
