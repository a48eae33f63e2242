//! Ledgers: who is working on an effect, and which effects have happened.
//!
//! [`Ledger`] is the port, [`Memory`] and `DynamoDb` (feature `dynamodb`) are its adapters. For every key a ledger knows
//! one of three states:
//!
//! ```text
//!            claim                     complete
//!   free ───────────► claimed by X ───────────────► done
//!    ▲                  │  │   ▲                      │
//!    └──── release ─────┘  └───┘ claim by Y, once     │
//!    ▲                           X's lease is over    │
//!    └──────────── once the retention is over ────────┘
//! ```
//!
//! Every claim has an [`Owner`], made for it alone, and only this owner can complete or release it. A worker whose lease
//! ran out and was taken over learns that from [`Fence::Lost`], and changes nothing.
//!
//! Ledgers have no clock: who calls says what time it is, in a [`Term`].
//!
//! ```
//! use std::time::{Duration, SystemTime};
//!
//! use anabranch::sink::ledger::{Claim, Fence, Ledger, Memory, Owner, Term};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (ledger, key) = (Memory::default(), ["event-1".to_owned()]);
//! let (early, late) = (Owner::unique(), Owner::unique());
//! let now = SystemTime::now();
//! let minute = |now| Term::new(now, Duration::from_secs(60));
//!
//! assert!(matches!(ledger.claim(&key, &early, minute(now)).await[..], [Ok(Claim::Granted)]));
//! assert!(matches!(ledger.claim(&key, &late, minute(now)).await[..], [Ok(Claim::Busy)]));
//!
//! let now = now + Duration::from_secs(90);
//! assert!(matches!(ledger.claim(&key, &late, minute(now)).await[..], [Ok(Claim::Granted)]), "the lease was over");
//! assert!(matches!(ledger.complete(&key, &early, minute(now)).await[..], [Ok(Fence::Lost)]));
//! # Ok(()) }
//! ```

#[cfg(feature = "dynamodb")]
mod dynamodb;
mod error;
mod memory;
mod term;

#[cfg(feature = "dynamodb")]
pub use dynamodb::DynamoDb;
pub use error::LedgerError;
use futures_util::future::BoxFuture;
pub use memory::Memory;
pub use term::{Owner, Term};

/// The most bytes that a key may have.
pub const KEY_BYTES: usize = 1024;

/// What came of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Claim {
    /// The key is the owner's until the end of the term.
    Granted,
    /// Somebody else holds the key, and their lease is not over.
    Busy,
    /// What the key stands for has happened.
    Done,
}

/// Whether a claim still stood when it was completed or released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fence {
    /// It did, and is now completed or released.
    Held,
    /// It did not, and nothing was changed: somebody else took the key over, or there was nothing to release.
    Lost,
}

/// Keeps who works on which key, and which keys are done with.
///
/// Object safe, so that handlers hold an `Arc<dyn Ledger>`. Every call takes any number of different keys, in no order,
/// and answers with one result per key in the same order. Repeating a call that failed does no harm: an owner is
/// granted again what it holds. Dropping a call may leave any part of it done.
///
/// A key has 1 to [`KEY_BYTES`] bytes. An entry whose term is over counts as not there.
pub trait Ledger: Send + Sync + 'static {
    /// The ledger's name, as errors show it.
    fn name(&self) -> &str;

    /// Claims each key that is free for `owner`, until the end of the term.
    fn claim<'a>(
        &'a self,
        keys: &'a [String],
        owner: &'a Owner,
        lease: Term,
    ) -> BoxFuture<'a, Vec<Result<Claim, LedgerError>>>;

    /// Notes of each key that what it stands for has happened, and keeps that until the end of the term.
    ///
    /// Possible for whoever claimed the key last, even when the lease is over, and for anybody once the key is free:
    /// what has happened has happened.
    fn complete<'a>(
        &'a self,
        keys: &'a [String],
        owner: &'a Owner,
        retention: Term,
    ) -> BoxFuture<'a, Vec<Result<Fence, LedgerError>>>;

    /// Frees each key that `owner` has claimed and not completed.
    fn release<'a>(&'a self, keys: &'a [String], owner: &'a Owner) -> BoxFuture<'a, Vec<Result<Fence, LedgerError>>>;
}

impl<L: Ledger + ?Sized> Ledger for std::sync::Arc<L> {
    fn name(&self) -> &str {
        L::name(self)
    }

    fn claim<'a>(
        &'a self,
        keys: &'a [String],
        owner: &'a Owner,
        lease: Term,
    ) -> BoxFuture<'a, Vec<Result<Claim, LedgerError>>> {
        L::claim(self, keys, owner, lease)
    }

    fn complete<'a>(
        &'a self,
        keys: &'a [String],
        owner: &'a Owner,
        retention: Term,
    ) -> BoxFuture<'a, Vec<Result<Fence, LedgerError>>> {
        L::complete(self, keys, owner, retention)
    }

    fn release<'a>(&'a self, keys: &'a [String], owner: &'a Owner) -> BoxFuture<'a, Vec<Result<Fence, LedgerError>>> {
        L::release(self, keys, owner)
    }
}

/// Refuses keys that not every adapter could keep.
fn checked(key: &str) -> Result<&str, LedgerError> {
    match key.len() {
        1..=KEY_BYTES => Ok(key),
        bytes => Err(LedgerError::Key { bytes }),
    }
}
