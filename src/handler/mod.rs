//! What to do with a change: handlers, and what they answer.
//!
//! A handler is a plain `async fn` of one [`Record`]:
//!
//! ```
//! use anabranch::{handler::Failure, record::Record};
//!
//! #[derive(serde::Deserialize)]
//! struct Pet { name: String }
//!
//! async fn welcome(record: Record<Pet>) -> Result<(), Failure> {
//!     if let Some(pet) = record.change.current() {
//!         println!("welcome, {}", pet.name.len());
//!     }
//!     Ok(())
//! }
//! ```
//!
//! or a type that implements [`Handler`] and takes whole batches, so that it can make one request of many
//! changes. [`HandlerExt`] puts predicates, time limits and second handlers around either.

mod batch;
mod combinator;
mod context;
mod entry;
mod erased;
mod failure;
mod fork;
mod function;
mod pool;

pub use batch::{Admitted, Batch, Ticket};
pub(crate) use batch::{DECODES_PER_SAMPLE, Halt, Share};
pub use combinator::{And, HandlerExt, Timeout, When};
pub use context::{Context, Deadline};
pub(crate) use entry::{Entry, Held, State};
pub(crate) use erased::{Belongs, Erased, erase};
pub(crate) use failure::merge;
pub use failure::{BoxError, Failure, IntoVerdict, Outcome, Panicked, Skip, TimedOut, Verdict};
pub(crate) use fork::{Fork, Memory};
pub use function::{DEFAULT_CONCURRENCY, Function, FunctionExt, IsFunction};

use crate::record::{Record, StreamView};

/// How many records a handler is given at a time, unless it asks for more: as many as the dispatcher can hold in 64 KiB.
pub const DEFAULT_WINDOW: usize = 192;

/// Handles the changes of one route, batch first.
///
/// `T` is what images decode into, `V` the least view that the handler reads. The handler
/// [admits](Batch::admit) records, does its work, and [settles](Batch::settle) each; what it leaves unsettled,
/// also because it panics or is dropped at the deadline, is delivered again.
///
/// Handlers are called again and again with later records of the same batch, and may be called from several
/// invocations at once: state belongs behind `&self`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler of `{T}` records",
    note = "a handler is an `async fn(Record<T>) -> Result<(), Failure>` whose future is `Send`, or implements `Handler<T, V>`"
)]
pub trait Handler<T: Send + 'static, V: StreamView>: Send + Sync + 'static {
    /// Handles the records of a batch.
    fn handle(&self, batch: &mut Batch<'_, T, V>) -> impl Future<Output = ()> + Send;

    /// Whether handling a record may have an effect: true, unless the handler can tell beforehand.
    ///
    /// A combinator that pays for every record, as [`idempotent`](crate::idempotency) pays for its ledger, asks first
    /// and does not pay for a record without effect. The record is handled all the same.
    fn has_effect(&self, record: &Record<T, V>) -> bool {
        let _ = record;
        true
    }

    /// The largest number of records worth having in one batch: [`DEFAULT_WINDOW`] unless the handler coalesces.
    fn window(&self) -> usize {
        DEFAULT_WINDOW
    }
}

/// What can stand on a route: a handler, or a plain async function.
///
/// `M` only keeps the two apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "not an `async fn(Record<T>)` with a `Send` future, and not a `Handler`",
    note = "a handler function is `async fn(Record<T>) -> Result<(), Failure>`; did you forget `async`?",
    note = "it returns `()`, an `Outcome`, or a `Result` of either whose error is a `Failure` or any other error",
    note = "it must not hold anything that is not `Send` (an `Rc`, a `RefCell` borrow) across an `.await`"
)]
pub trait IntoHandler<T: Send + 'static, V: StreamView, M> {
    /// The handler that it becomes.
    type Handler: Handler<T, V>;

    /// Makes a handler of it.
    fn into_handler(self) -> Self::Handler;
}

/// Marks handlers among the things that become handlers.
#[doc(hidden)]
pub struct IsHandler;

impl<H: Handler<T, V>, T: Send + 'static, V: StreamView> IntoHandler<T, V, IsHandler> for H {
    type Handler = H;

    fn into_handler(self) -> H {
        self
    }
}
