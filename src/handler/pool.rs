//! A bounded set of futures that keeps its places: no allocation per record.

use std::{
    future::poll_fn,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;

use super::{Admitted, Batch, Failure, IntoVerdict, Panicked, Ticket, Verdict};
use crate::record::{FromImage, Record, StreamView};

/// Runs one future per admitted record, at most `limit` at a time and one per lane.
///
/// A place is boxed once and used again for record after record; only places whose own waker fired are polled.
pub(super) struct Pool<Fut> {
    places: Vec<Place<Fut>>,
    limit: usize,
    task: Arc<AtomicWaker>,
}

struct Place<Fut> {
    future: Pin<Box<Option<Fut>>>,
    /// The record that the future works on, while there is one.
    busy: Option<(Ticket, u64)>,
    alarm: Arc<Alarm>,
    waker: Waker,
}

struct Alarm {
    rung: AtomicBool,
    task: Arc<AtomicWaker>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<Fut: Future<Output: IntoVerdict>> Pool<Fut> {
    pub(super) fn new(limit: NonZeroUsize) -> Self {
        Self { places: Vec::new(), limit: limit.get(), task: Arc::new(AtomicWaker::new()) }
    }

    /// Handles the whole batch: until nothing may be started and nothing is running.
    pub(super) async fn run<T, V, F>(mut self, batch: &mut Batch<'_, T, V>, function: &F)
    where
        T: FromImage,
        V: StreamView,
        F: Fn(Record<T, V>) -> Fut,
    {
        poll_fn(|cx| {
            self.task.register(cx.waker());
            self.poll_running(batch);
            while let Some(at) = self.free_place() {
                let busy = |lane| self.places.iter().all(|place| !place.works_on(lane));
                let Some(admitted) = batch.admit_where(busy) else { break };
                self.places[at].start(batch, admitted, function);
            }
            if self.places.iter().all(Place::is_free) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn poll_running<T: FromImage, V: StreamView>(&mut self, batch: &mut Batch<'_, T, V>) {
        for place in self.places.iter_mut().filter(|place| !place.is_free()) {
            if place.alarm.rung.swap(false, Ordering::Acquire) {
                place.poll(batch);
            }
        }
    }

    fn free_place(&mut self) -> Option<usize> {
        let free = self.places.iter().position(Place::is_free);
        if free.is_none() && self.places.len() < self.limit {
            self.places.push(Place::new(&self.task));
            return Some(self.places.len() - 1);
        }
        free
    }
}

impl<Fut: Future<Output: IntoVerdict>> Place<Fut> {
    fn new(task: &Arc<AtomicWaker>) -> Self {
        let alarm = Arc::new(Alarm { rung: AtomicBool::new(false), task: task.clone() });
        Self { future: Box::pin(None), busy: None, waker: alarm.clone().into(), alarm }
    }

    fn is_free(&self) -> bool {
        self.busy.is_none()
    }

    fn works_on(&self, lane: u64) -> bool {
        self.busy.as_ref().is_some_and(|(_, busy)| *busy == lane)
    }

    fn start<T, V>(
        &mut self,
        batch: &mut Batch<'_, T, V>,
        admitted: Admitted<T, V>,
        function: impl Fn(Record<T, V>) -> Fut,
    ) where
        T: FromImage,
        V: StreamView,
    {
        let Admitted { ticket, lane, record } = admitted;
        match catch_unwind(AssertUnwindSafe(|| function(record))) {
            Ok(future) => {
                self.future.set(Some(future));
                self.busy = Some((ticket, lane));
                self.poll(batch);
            }
            Err(_) => batch.settle(ticket, panicked()),
        }
    }

    fn poll<T: FromImage, V: StreamView>(&mut self, batch: &mut Batch<'_, T, V>) {
        let Some(future) = self.future.as_mut().as_pin_mut() else { return };
        let mut cx = Context::from_waker(&self.waker);
        let verdict = match catch_unwind(AssertUnwindSafe(|| future.poll(&mut cx))) {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(answer)) => answer.into_verdict(),
            Err(_) => panicked(),
        };
        self.clear();
        if let Some((ticket, _)) = self.busy.take() {
            batch.settle(ticket, verdict);
        }
    }

    /// Drops the finished future; one that panics even then has nothing more to say.
    fn clear(&mut self) {
        if catch_unwind(AssertUnwindSafe(|| self.future.set(None))).is_err() {
            self.future = Box::pin(None);
        }
    }
}

fn panicked() -> Verdict {
    Err(Failure::retry(Panicked))
}
