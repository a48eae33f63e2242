//! Holds a stream back to the rate of its sink.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::{Bucket, SinkRate};

/// Lets the next item or page pass when those before are paid for.
pub(super) struct Gate {
    rate: SinkRate,
    bucket: Bucket,
    until: Option<Instant>,
    late: bool,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Gate {
    /// The gate of a sink with this rate, until a deadline.
    pub(super) fn new(rate: SinkRate, until: Option<Instant>) -> Self {
        Self { rate, bucket: Bucket::new(rate.per_second()), until, late: false, sleep: None }
    }

    /// Whether the next one passes in time: what would have to wait past the deadline is not waited for at all.
    pub(super) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let at = self.bucket.ready_at();
        if self.sleep.is_none() && at > Instant::now() {
            self.late |= self.until.is_some_and(|until| at > until);
            self.sleep = Some(Box::pin(sleep_until(at)));
        }
        if self.late {
            return Poll::Ready(false);
        }
        if let Some(sleep) = &mut self.sleep {
            ready!(sleep.as_mut().poll(context));
            self.sleep = None;
        }
        Poll::Ready(true)
    }

    /// The same, awaited.
    pub(super) async fn ready(&mut self) -> bool {
        poll_fn(|context| self.poll_ready(context)).await
    }

    /// Whether it has closed: the next one would pass too late.
    pub(super) fn is_late(&self) -> bool {
        self.late
    }

    /// Takes note of items by the length of their JSON.
    pub(super) fn charge(&mut self, items: impl Iterator<Item = usize>) {
        self.bucket.charge(items.map(|bytes| self.rate.cost(bytes)).sum());
    }
}
