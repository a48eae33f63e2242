//! A ledger in memory, for tests.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::future::BoxFuture;
use tokio::task::yield_now;

use super::{Claim, Fence, Ledger, LedgerError, Owner, Term, checked};

/// Keeps claims in memory: for tests, since they end with the process.
///
/// Every key gives way to other tasks before it takes effect, so that tests see what concurrency does.
#[derive(Default)]
pub struct Memory {
    entries: Mutex<HashMap<String, Entry>>,
}

#[derive(Clone)]
struct Entry {
    owner: Owner,
    done: bool,
    until: u64,
}

impl Memory {
    /// The keys that are noted as done, in no order, whether or not their retention is over.
    pub fn done(&self) -> Vec<String> {
        self.lock().iter().filter(|(_, entry)| entry.done).map(|(key, _)| key.clone()).collect()
    }

    /// Who holds a key that is claimed and not done.
    pub fn holder(&self, key: &str) -> Option<Owner> {
        self.lock().get(key).filter(|entry| !entry.done).map(|entry| entry.owner.clone())
    }

    fn claim_one(&self, key: &str, owner: &Owner, lease: Term) -> Result<Claim, LedgerError> {
        let mut entries = self.lock();
        let stored = entries.get(checked(key)?).filter(|entry| entry.until > lease.now());
        match stored {
            Some(entry) if entry.done => Ok(Claim::Done),
            Some(entry) if entry.owner != *owner => Ok(Claim::Busy),
            _ => {
                entries.insert(key.to_owned(), Entry { owner: owner.clone(), done: false, until: lease.until() });
                Ok(Claim::Granted)
            }
        }
    }

    fn complete_one(&self, key: &str, owner: &Owner, retention: Term) -> Result<Fence, LedgerError> {
        let mut entries = self.lock();
        if entries.get(checked(key)?).is_some_and(|entry| entry.owner != *owner) {
            return Ok(Fence::Lost);
        }
        entries.insert(key.to_owned(), Entry { owner: owner.clone(), done: true, until: retention.until() });
        Ok(Fence::Held)
    }

    fn release_one(&self, key: &str, owner: &Owner) -> Result<Fence, LedgerError> {
        let mut entries = self.lock();
        if !entries.get(checked(key)?).is_some_and(|entry| entry.owner == *owner && !entry.done) {
            return Ok(Fence::Lost);
        }
        entries.remove(key);
        Ok(Fence::Held)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn claim<'a>(
        &'a self,
        keys: &'a [String],
        owner: &'a Owner,
        lease: Term,
    ) -> BoxFuture<'a, Vec<Result<Claim, LedgerError>>> {
        Box::pin(each(keys, move |key| self.claim_one(key, owner, lease)))
    }

    fn complete<'a>(
        &'a self,
        keys: &'a [String],
        owner: &'a Owner,
        retention: Term,
    ) -> BoxFuture<'a, Vec<Result<Fence, LedgerError>>> {
        Box::pin(each(keys, move |key| self.complete_one(key, owner, retention)))
    }

    fn release<'a>(&'a self, keys: &'a [String], owner: &'a Owner) -> BoxFuture<'a, Vec<Result<Fence, LedgerError>>> {
        Box::pin(each(keys, move |key| self.release_one(key, owner)))
    }
}

async fn each<R>(keys: &[String], act: impl Fn(&str) -> R) -> Vec<R> {
    let mut results = Vec::with_capacity(keys.len());
    for key in keys {
        yield_now().await;
        results.push(act(key));
    }
    results
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("entries", &self.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn conforms() {
        crate::sink::conformance::ledger(&Memory::default()).await;
    }
}
