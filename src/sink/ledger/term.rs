//! Whose a claim is, and for how long.

use std::{
    collections::hash_map::RandomState,
    fmt,
    hash::BuildHasher,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Who holds a claim: a token that no other claim has.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Owner(Arc<str>);

impl Owner {
    /// A token of 128 random bits.
    pub fn unique() -> Self {
        // Each state is keyed from the operating system's random numbers, and no two of a process have the same keys.
        let bits = || RandomState::new().hash_one(());
        Self(format!("{:016x}{:016x}", bits(), bits()).into())
    }

    /// The token as sinks store it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({})", self.0)
    }
}

/// From now until when, in whole seconds since 1970: what DynamoDB's time to live counts in.
///
/// Rounded so that no term is shorter than it was meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    now: u64,
    until: u64,
}

impl Term {
    /// A term that starts now. Times before 1970 count as 1970.
    pub fn new(now: SystemTime, length: Duration) -> Self {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let end = now.saturating_add(length);
        let until = end.as_secs().saturating_add(u64::from(end.subsec_nanos() > 0));
        Self { now: now.as_secs(), until }
    }

    /// When it starts: what ended then, or before, is over.
    pub fn now(self) -> u64 {
        self.now
    }

    /// When it is over.
    pub fn until(self) -> u64 {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn owners_are_unique() {
        let owners: HashSet<_> = (0..10_000).map(|_| Owner::unique()).collect();
        assert_eq!(owners.len(), 10_000);
        assert!(owners.iter().all(|owner| owner.as_str().len() == 32));
    }

    #[test]
    fn a_term_is_never_shorter_than_it_was_meant_to_be() {
        for (start, length, now, until) in [(0, 1000, 0, 1), (999, 1, 0, 1), (999, 2, 0, 2), (1500, 500, 1, 2)] {
            let term = Term::new(UNIX_EPOCH + Duration::from_millis(start), Duration::from_millis(length));
            assert_eq!((term.now(), term.until()), (now, until), "{start} ms and {length} ms");
        }
        assert_eq!(Term::new(UNIX_EPOCH, Duration::MAX).until(), u64::MAX);
        assert_eq!(Term::new(UNIX_EPOCH - Duration::from_secs(9), Duration::ZERO).until(), 0);
    }
}
