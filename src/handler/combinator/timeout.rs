use std::time::Duration;

use crate::{
    handler::{Batch, Handler},
    record::{FromImage, Record, StreamView},
};

/// A handler with a time limit per call; made by [`HandlerExt::call_timeout`](super::HandlerExt::call_timeout).
///
/// At the limit the call is dropped: what it has settled stands, the rest is retried.
pub struct Timeout<H> {
    pub(super) inner: H,
    pub(super) limit: Duration,
}

impl<H: Handler<T, V>, T: FromImage, V: StreamView> Handler<T, V> for Timeout<H> {
    async fn handle(&self, batch: &mut Batch<'_, T, V>) {
        if tokio::time::timeout(self.limit, self.inner.handle(batch)).await.is_err() {
            batch.retry_unsettled(self.limit);
        }
    }

    fn has_effect(&self, record: &Record<T, V>) -> bool {
        self.inner.has_effect(record)
    }

    fn window(&self) -> usize {
        self.inner.window()
    }
}
