//! Items in batches, and what is done with once a batch is.

use std::iter;

use futures_util::{Stream, StreamExt, stream};

use super::{Checkpoint, ItemError, Page, Pages, Progress, ScanError, gate::Gate, page, read::Settings};
use crate::record::FromImage;

/// Some items, and the pages that end among them.
pub(super) struct Batch<T> {
    pub(super) items: Vec<Result<T, ItemError>>,
    pub(super) mark: Mark,
}

/// What is done with once a batch is.
#[derive(Default)]
pub(super) struct Mark {
    pages: Vec<Page>,
    pub(super) bad_items: u64,
}

impl Mark {
    /// Takes note that the batch is done with.
    pub(super) fn apply(self, checkpoint: &mut Checkpoint, progress: &mut Progress) {
        progress.bad_items += self.bad_items;
        for page in &self.pages {
            checkpoint.advance(page);
            progress.count(page);
        }
    }
}

/// Cuts pages into batches, across their borders.
pub(super) struct Batches {
    pages: Pages,
    page: Option<(Page, usize)>,
    size: usize,
    failed: Option<ScanError>,
    gate: Option<Gate>,
}

impl Batches {
    pub(super) fn new(mut settings: Settings, size: usize) -> Self {
        // By the batch rather than by the page.
        let gate = settings.sink_rate.take().map(|rate| Gate::new(rate, settings.until));
        Self { pages: Pages::new(settings), page: None, size: size.max(1), failed: None, gate }
    }

    /// Where the scan begins.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        self.pages.checkpoint().clone()
    }

    /// What the scan is to read.
    pub(super) fn progress(&self) -> Progress {
        self.pages.progress()
    }

    pub(super) fn stream<T: FromImage>(self) -> impl Stream<Item = Result<Batch<T>, ScanError>> + Send {
        stream::unfold(self, async |mut batches| batches.next().await.map(|batch| (batch, batches))).boxed()
    }

    /// The next batch: full, unless it is the last one before an end or an error.
    async fn next<T: FromImage>(&mut self) -> Option<Result<Batch<T>, ScanError>> {
        let mut batch = Batch { items: Vec::with_capacity(self.size.min(1024)), mark: Mark::default() };
        while self.failed.is_none() && !self.is_late() && batch.items.len() < self.size {
            match self.page.take() {
                Some((page, next)) => self.fill(&mut batch, page, next).await,
                None => match self.pages.next().await {
                    Some(Ok(page)) => self.page = Some((page, 0)),
                    Some(Err(error)) => self.failed = Some(error),
                    None => break,
                },
            }
        }
        if batch.items.is_empty() && batch.mark.pages.is_empty() {
            return self.failed.take().map(Err);
        }
        Some(Ok(batch))
    }

    fn is_late(&self) -> bool {
        self.gate.as_ref().is_some_and(Gate::is_late)
    }

    /// Takes as many items of a page as are missing, and as many as pass in time.
    async fn fill<T: FromImage>(&mut self, batch: &mut Batch<T>, page: Page, mut next: usize) {
        while batch.items.len() < self.size
            && let Some(item) = page.item(next)
        {
            let length = item.json().len();
            if let Some(gate) = &mut self.gate {
                if !gate.ready().await {
                    return;
                }
                gate.charge(iter::once(length));
            }
            let item = page::decode(page.item(next).expect("it was there before the wait"));
            batch.mark.bad_items += u64::from(item.is_err());
            batch.items.push(item);
            next += 1;
        }
        if next < page.len() {
            self.page = Some((page, next));
        } else {
            batch.mark.pages.push(page);
        }
    }
}
