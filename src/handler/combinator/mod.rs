//! Handlers around handlers.

mod and;
mod timeout;
mod when;

use std::time::Duration;

pub use and::And;
pub use timeout::Timeout;
pub use when::When;

use super::{Handler, IntoHandler};
use crate::record::{FromImage, Record, StreamView};

/// Puts predicates, time limits and second handlers around a handler or a plain function.
pub trait HandlerExt<T: FromImage, V: StreamView, M>: IntoHandler<T, V, M> + Sized {
    /// Handles only the records that the predicate accepts; the others are skipped as filtered.
    ///
    /// ```
    /// use anabranch::{handler::{Failure, HandlerExt}, record::{Cause, NewImage, RawImage, Record}, router::Router};
    ///
    /// async fn mirror(record: Record<RawImage, NewImage>) -> Result<(), Failure> { Ok(()) }
    ///
    /// let by_users = mirror.when(|record| record.cause() == Cause::User);
    /// let router = Router::<NewImage>::new().every(by_users);
    /// ```
    fn when<P>(self, accepts: P) -> When<Self::Handler, P>
    where
        P: Fn(&Record<T, V>) -> bool + Send + Sync + 'static,
    {
        When { inner: self.into_handler(), accepts }
    }

    /// Two handlers on one route: a record is done with when both are.
    fn and<N, H: IntoHandler<T, V, N>>(self, other: H) -> And<Self::Handler, H::Handler> {
        And { left: self.into_handler(), right: other.into_handler() }
    }

    /// Gives each call of the handler this long; what it has not settled by then is retried. Goes inside of
    /// [`idempotent`](crate::idempotency::IdempotentExt::idempotent), which notes what is done.
    ///
    /// For plain functions [`FunctionExt::timeout`](super::FunctionExt::timeout) limits each record instead.
    fn call_timeout(self, limit: Duration) -> Timeout<Self::Handler> {
        Timeout { inner: self.into_handler(), limit }
    }
}

impl<H: IntoHandler<T, V, M>, T: FromImage, V: StreamView, M> HandlerExt<T, V, M> for H {}

fn larger<T: Send + 'static, V: StreamView>(left: &impl Handler<T, V>, right: &impl Handler<T, V>) -> usize {
    left.window().max(right.window())
}
