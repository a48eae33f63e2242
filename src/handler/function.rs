//! Plain async functions as handlers: lanes run side by side, each in order.

use std::{marker::PhantomData, num::NonZeroUsize, time::Duration};

use super::{Batch, Failure, Handler, IntoHandler, IntoVerdict, TimedOut, Verdict, pool::Pool};
use crate::record::{FromImage, Record, StreamView};

/// How many records of different items a function handles at a time, unless it says otherwise.
pub const DEFAULT_CONCURRENCY: NonZeroUsize = NonZeroUsize::new(16).expect("16 is not zero");

/// A plain `async fn` as a handler.
///
/// Records of one item are handled one after another, in order; records of different items side by side, up to
/// [`DEFAULT_CONCURRENCY`] at a time. A panic is the failure of the record that it happened on, to be retried.
pub struct Function<F, T, V> {
    function: F,
    concurrency: NonZeroUsize,
    timeout: Option<Duration>,
    _types: PhantomData<fn(T, V)>,
}

impl<F, T, V> Function<F, T, V> {
    pub(super) fn new(function: F) -> Self {
        Self { function, concurrency: DEFAULT_CONCURRENCY, timeout: None, _types: PhantomData }
    }

    pub(super) fn with_concurrency(self, concurrency: NonZeroUsize) -> Self {
        Self { concurrency, ..self }
    }

    pub(super) fn with_timeout(self, limit: Duration) -> Self {
        Self { timeout: Some(limit), ..self }
    }
}

impl<F, Fut, T, V> Handler<T, V> for Function<F, T, V>
where
    F: Fn(Record<T, V>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoVerdict> + Send + 'static,
    T: FromImage,
    V: StreamView,
{
    async fn handle(&self, batch: &mut Batch<'_, T, V>) {
        match self.timeout {
            None => Pool::new(self.concurrency).run(batch, &self.function).await,
            Some(limit) => {
                let bounded = |record| within(limit, (self.function)(record));
                Pool::new(self.concurrency).run(batch, &bounded).await;
            }
        }
    }
}

async fn within<R: IntoVerdict>(limit: Duration, work: impl Future<Output = R>) -> Verdict {
    match tokio::time::timeout(limit, work).await {
        Ok(answer) => answer.into_verdict(),
        Err(_) => Err(Failure::retry(TimedOut { limit })),
    }
}

/// Marks functions among the things that become handlers.
#[doc(hidden)]
pub struct IsFunction<T, V, Fut>(PhantomData<fn(T, V, Fut)>);

impl<F, Fut, T, V> IntoHandler<T, V, IsFunction<T, V, Fut>> for F
where
    F: Fn(Record<T, V>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoVerdict> + Send + 'static,
    T: FromImage,
    V: StreamView,
{
    type Handler = Function<F, T, V>;

    fn into_handler(self) -> Self::Handler {
        Function::new(self)
    }
}

/// Settings of plain functions, before they are routed.
pub trait FunctionExt<T: FromImage, V: StreamView, Fut>: Fn(Record<T, V>) -> Fut + Sized {
    /// Handles one record at a time, in stream order.
    ///
    /// ```
    /// use anabranch::{handler::FunctionExt, record::{RawImage, Record, NewImage}, router::Router};
    ///
    /// async fn audit(record: Record<RawImage, NewImage>) {
    ///     println!("{}", record.sequence_number());
    /// }
    /// let router = Router::<NewImage>::new().every(audit.sequential());
    /// ```
    fn sequential(self) -> Function<Self, T, V> {
        self.concurrency(NonZeroUsize::MIN)
    }

    /// Handles up to `lanes` records of different items at a time.
    fn concurrency(self, lanes: NonZeroUsize) -> Function<Self, T, V> {
        Function::new(self).with_concurrency(lanes)
    }

    /// Gives each record this long; one that takes longer is dropped and retried.
    fn timeout(self, limit: Duration) -> Function<Self, T, V> {
        Function::new(self).with_timeout(limit)
    }
}

impl<F, Fut, T, V> FunctionExt<T, V, Fut> for F
where
    F: Fn(Record<T, V>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoVerdict> + Send + 'static,
    T: FromImage,
    V: StreamView,
{
}
