use crate::{
    handler::{Batch, Handler},
    record::{FromImage, Record, StreamView},
};

/// A handler behind a predicate; made by [`HandlerExt::when`](super::HandlerExt::when).
pub struct When<H, P> {
    pub(super) inner: H,
    pub(super) accepts: P,
}

impl<H, P, T, V> Handler<T, V> for When<H, P>
where
    H: Handler<T, V>,
    P: Fn(&Record<T, V>) -> bool + Send + Sync + 'static,
    T: FromImage,
    V: StreamView,
{
    async fn handle(&self, batch: &mut Batch<'_, T, V>) {
        let filter = batch.filter(&self.accepts);
        self.inner.handle(&mut batch.behind(&filter)).await;
    }

    fn has_effect(&self, record: &Record<T, V>) -> bool {
        (self.accepts)(record) && self.inner.has_effect(record)
    }

    fn window(&self) -> usize {
        self.inner.window()
    }
}
