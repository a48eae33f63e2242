//! The stream of items.

use std::{
    fmt, iter,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::{Stream, StreamExt};

use super::{Checkpoint, Page, Pages, Progress, ScanError, gate::Gate, page, read::Settings};
use crate::record::FromImage;

/// The items of a scan or a query, as a lazy [`Stream`]: [`Read::items`](super::Read::items) and
/// [`Read::typed`](super::Read::typed).
///
/// It starts, stops and ends as [`Pages`] does, but for an item that does not decode: that is an error which
/// [says so](ScanError::item), and the stream goes on.
pub struct Items<T> {
    pages: Pages,
    page: Option<Page>,
    next: usize,
    gate: Option<Gate>,
    bad_items: u64,
    _type: PhantomData<fn() -> T>,
}

impl<T: FromImage> Items<T> {
    pub(super) fn new(mut settings: Settings) -> Self {
        // One by one rather than by the page.
        let gate = settings.sink_rate.take().map(|rate| Gate::new(rate, settings.until));
        let pages = Pages::new(settings);
        Self { pages, page: None, next: 0, gate, bad_items: 0, _type: PhantomData }
    }

    /// What is left to read. A page counts as done with when the first item behind it is asked for.
    pub fn checkpoint(&self) -> &Checkpoint {
        self.pages.checkpoint()
    }

    /// What was handed out so far, in whole pages.
    pub fn progress(&self) -> Progress {
        Progress { bad_items: self.bad_items, ..self.pages.progress() }
    }

    /// The next item of the page.
    #[inline]
    fn take_next(&mut self) -> Option<Result<T, ScanError>> {
        let item = self.page.as_ref()?.item(self.next)?;
        if let Some(gate) = &mut self.gate {
            gate.charge(iter::once(item.json().len()));
        }
        self.next += 1;
        let decoded = page::decode(item);
        self.bad_items += u64::from(decoded.is_err());
        Some(decoded.map_err(ScanError::from))
    }
}

impl<T: FromImage> Stream for Items<T> {
    type Item = Result<T, ScanError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(gate) = &mut self.gate
                && !ready!(gate.poll_ready(context))
            {
                return Poll::Ready(None);
            }
            if let Some(item) = self.take_next() {
                return Poll::Ready(Some(item));
            }
            self.page = None;
            match ready!(self.pages.poll_next_unpin(context)) {
                Some(Ok(page)) => (self.page, self.next) = (Some(page), 0),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("pages", &self.pages).finish_non_exhaustive()
    }
}
