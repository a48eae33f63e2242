//! The event as bytes: the runtime is handed `null` in its place.
//!
//! The runtime decodes the whole payload before a handler runs, with path tracking. The dispatcher reads it
//! itself, so decoding it first, even as raw JSON, would be for nothing. Errors, panics and concurrency stay the
//! runtime's.

use std::{
    cell::Cell,
    mem,
    task::{Context, Poll},
};

use bytes::Bytes;
use lambda_runtime::LambdaInvocation;
use tokio::task::futures::TaskLocalFuture;
use tower::{Layer, Service};

tokio::task_local! {
    static BODY: Cell<Bytes>;
}

/// The body of the invocation that the present task works on. Empty the second time.
pub(super) fn take() -> Bytes {
    BODY.with(Cell::take)
}

/// Keeps the body of each invocation for [`take`].
#[derive(Debug, Clone, Copy)]
pub(super) struct RawBodyLayer;

impl<S> Layer<S> for RawBodyLayer {
    type Service = RawBody<S>;

    fn layer(&self, inner: S) -> RawBody<S> {
        RawBody { inner }
    }
}

#[derive(Debug, Clone)]
pub(super) struct RawBody<S> {
    inner: S,
}

impl<S: Service<LambdaInvocation>> Service<LambdaInvocation> for RawBody<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = TaskLocalFuture<Cell<Bytes>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> Self::Future {
        let body = mem::replace(&mut invocation.body, Bytes::from_static(b"null"));
        BODY.scope(Cell::new(body), self.inner.call(invocation))
    }
}
