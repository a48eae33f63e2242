//! Holds a stream back to the rate of its sink.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::{Bucket, SinkRate};

/// Lets the next item or page pass when those before are paid for.
pub(super) struct Gate {
    rate: SinkRate,
    bucket: Bucket,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Gate {
    pub(super) fn new(rate: SinkRate) -> Self {
        Self { rate, bucket: Bucket::new(rate.per_second()), sleep: None }
    }

    pub(super) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let at = self.bucket.ready_at();
        if self.sleep.is_none() && at > Instant::now() {
            self.sleep = Some(Box::pin(sleep_until(at)));
        }
        if let Some(sleep) = &mut self.sleep {
            ready!(sleep.as_mut().poll(context));
            self.sleep = None;
        }
        Poll::Ready(())
    }

    /// Takes note of items by the length of their JSON.
    pub(super) fn charge(&mut self, items: impl Iterator<Item = usize>) {
        self.bucket.charge(items.map(|bytes| self.rate.cost(bytes)).sum());
    }
}
