use super::larger;
use crate::{
    handler::{Batch, Handler},
    record::{FromImage, Record, StreamView},
};

/// Two handlers of the same records, running side by side; made by [`HandlerExt::and`](super::HandlerExt::and).
///
/// A record is done with when both are done with it; a retry of either wins over a reject of the other. What one of them
/// rejects keeps the item's later changes from that one alone until it is a dead letter: the other goes on, and has each of
/// them once. Where a call of both is cut off, what both are done with stands.
pub struct And<L, R> {
    pub(super) left: L,
    pub(super) right: R,
}

impl<L: Handler<T, V>, R: Handler<T, V>, T: FromImage, V: StreamView> Handler<T, V> for And<L, R> {
    async fn handle(&self, batch: &mut Batch<'_, T, V>) {
        let mut halves = batch.halves();
        let (mut left, mut right) = halves.batches();
        futures_util::future::join(self.left.handle(&mut left), self.right.handle(&mut right)).await;
    }

    fn has_effect(&self, record: &Record<T, V>) -> bool {
        self.left.has_effect(record) || self.right.has_effect(record)
    }

    fn window(&self) -> usize {
        larger(&self.left, &self.right)
    }
}
