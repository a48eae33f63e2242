#![doc = include_str!("../docs/idempotency.md")]

mod chunk;
mod error;
mod key;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use chunk::Chunk;
pub use error::IdempotencyError;
use key::KeyFn;

use crate::{
    handler::{Batch, Handler, IntoHandler},
    record::{FromImage, Record, StreamView},
    sink::ledger::Ledger,
};

/// What the function's role must allow on the ledger's table, behind DynamoDB.
pub const ACTIONS: &[&str] = &["dynamodb:DeleteItem", "dynamodb:PutItem"];
/// How long a claim holds, unless another time is chosen: twice what one call of an AWS client may take.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(60);
/// How long it is remembered that an effect has happened, unless another time is chosen: seven days.
///
/// A stream keeps its records for 24 hours, and may deliver them again as long. A dead letter queue keeps them for four
/// days by default, and they may be handled when they are redriven from there.
pub const DEFAULT_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How many records are claimed at a time, unless another number is chosen: two transactions' worth.
pub const DEFAULT_CHUNK: usize = 200;

/// Makes the effect of a handler or a plain function happen once per record.
pub trait IdempotentExt<T: FromImage, V: StreamView, M>: IntoHandler<T, V, M> + Sized {
    /// Handles only records whose effect the ledger does not know, and notes each in the ledger when it is done.
    ///
    /// See [the chapter](crate::idempotency) for what that promises. Put predicates around it, not inside, so that records
    /// which nobody wants cost nothing: `send.idempotent(ledger).when(..)`.
    ///
    /// ```
    /// use anabranch::{handler::Failure, idempotency::IdempotentExt, record::Record, router::Router, sink::ledger::Memory};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Pet { name: String }
    ///
    /// async fn welcome(record: Record<Pet>) -> Result<(), Failure> {
    ///     // Send a letter, call an API, charge a card ..
    ///     Ok(())
    /// }
    /// let router = Router::by_attribute("entityType").route("PET", welcome.idempotent(Memory::default())).ignore_others();
    /// # let _: Router = router;
    /// ```
    fn idempotent(self, ledger: impl Ledger) -> Idempotent<Self::Handler, T, V> {
        Idempotent {
            inner: self.into_handler(),
            ledger: Arc::new(ledger),
            key: Arc::new(key::of_event),
            lease: DEFAULT_LEASE,
            retention: DEFAULT_RETENTION,
            chunk: DEFAULT_CHUNK,
            snapshots: false,
            clock: Arc::new(SystemTime::now),
        }
    }
}

impl<H: IntoHandler<T, V, M>, T: FromImage, V: StreamView, M> IdempotentExt<T, V, M> for H {}

/// A handler whose effect happens once per key; made by [`IdempotentExt::idempotent`].
pub struct Idempotent<H, T: Send + 'static, V: StreamView> {
    inner: H,
    ledger: Arc<dyn Ledger>,
    key: Arc<KeyFn<T, V>>,
    lease: Duration,
    retention: Duration,
    chunk: usize,
    snapshots: bool,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl<H, T: FromImage, V: StreamView> Idempotent<H, T, V> {
    /// Says what the effect is known by, in place of the event id: records of one key have their effect once.
    ///
    /// A key has 1 to 1,024 bytes and is stored as it is. The function must give the same record the same key, always.
    /// ```
    /// # use anabranch::{idempotency::IdempotentExt, record::Record, sink::ledger::Memory, router::Router};
    /// # #[derive(serde::Deserialize)] struct Pet { owner: String }
    /// # async fn welcome(record: Record<Pet>) {}
    /// let once_per_owner = welcome
    ///     .idempotent(Memory::default())
    ///     .key_by(|record| record.change.current().map_or_else(String::new, |pet| pet.owner.clone()));
    /// # let _: Router = Router::by_attribute("entityType").route("PET", once_per_owner);
    /// ```
    #[must_use]
    pub fn key_by(self, key: impl Fn(&Record<T, V>) -> String + Send + Sync + 'static) -> Self {
        Self { key: Arc::new(move |record| Ok(key(record))), ..self }
    }

    /// Says how long a claim holds: how long after a crash a record has to wait, and longer than handling one record
    /// may take. At least a second; it has nothing to do with the function's timeout.
    ///
    /// Half of it is for records that are started, the other half for finishing them.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        Self { lease: lease.max(Duration::from_secs(1)), ..self }
    }

    /// Says how long it is remembered that an effect has happened. A record that is delivered later has it again.
    #[must_use]
    pub fn retention(self, retention: Duration) -> Self {
        Self { retention, ..self }
    }

    /// Says how many records are claimed at a time; 0 counts as 1.
    ///
    /// Effects are noted when all records of a chunk are handled, so this is how many are at most repeated after a crash.
    #[must_use]
    pub fn chunk(self, records: usize) -> Self {
        Self { chunk: records.max(1), ..self }
    }

    /// Also handles rows that a scan or an export has read, which are skipped otherwise: they are no changes.
    ///
    /// An item has its effect once, by its table and keys, however often it is read within the [retention](Self::retention).
    #[must_use]
    pub fn with_snapshots(self) -> Self {
        Self { snapshots: true, ..self }
    }

    /// Reads the time from another clock than the system's: for tests.
    #[must_use]
    pub fn clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }
}

impl<H, T: FromImage, V: StreamView> Idempotent<H, T, V> {
    /// Whether a record is none of the changes that are to have an effect.
    fn passes_over(&self, record: &Record<T, V>) -> bool {
        !self.snapshots && record.origin().is_snapshot()
    }
}

impl<H: Handler<T, V>, T: FromImage, V: StreamView> Handler<T, V> for Idempotent<H, T, V> {
    async fn handle(&self, batch: &mut Batch<'_, T, V>) {
        let mut more = true;
        while more {
            let chunk = Chunk::admit(self, batch);
            more = !chunk.is_empty() && chunk.handle(batch).await;
        }
    }

    fn has_effect(&self, record: &Record<T, V>) -> bool {
        !self.passes_over(record) && self.inner.has_effect(record)
    }

    fn window(&self) -> usize {
        self.inner.window()
    }
}
