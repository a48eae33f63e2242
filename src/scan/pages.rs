//! The stream of pages.

use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::{FutureExt, Stream};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, mpsc::UnboundedReceiver},
    task::JoinHandle,
};

use super::{
    Checkpoint, Page, Progress, ScanError,
    gate::Gate,
    read::Settings,
    workers::{self, Delivery},
};

/// The pages of a scan or a query, as a lazy [`Stream`]: [`Read::pages`](super::Read::pages).
///
/// The first poll starts the workers, on the runtime that polls; dropping the stream stops them. It ends behind the last page, behind
/// the first error, when enough was [taken](super::Read::take), and when the [time is up](super::Read::until): the
/// [checkpoint](Self::checkpoint) knows which.
pub struct Pages {
    state: State,
    checkpoint: Checkpoint,
    progress: Progress,
    left: Option<u64>,
    /// The names of the key attributes, if the caller knows them.
    keys: Option<Vec<String>>,
    gate: Option<Gate>,
    /// The page in the consumer's hands: the room it takes, and where its segment goes on. It counts as done with once the
    /// next is asked for.
    held: Option<Held>,
}

struct Held {
    segment: u32,
    next: Option<super::Cursor>,
    _room: OwnedSemaphorePermit,
}

enum State {
    New(Box<Settings>),
    Reading { pages: UnboundedReceiver<Delivery>, workers: Workers },
    Done,
}

/// Ends the workers when nobody wants their pages any more.
struct Workers(JoinHandle<()>);

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Pages {
    pub(super) fn new(settings: Settings) -> Self {
        let cursors = settings.cursors().unwrap_or_default();
        let progress = Progress { segments: cursors.len() as u32, ..Progress::default() };
        let (left, gate) = (settings.take, settings.sink_rate.map(|rate| Gate::new(rate, settings.until)));
        let keys = settings.cursor_keys();
        let state = State::New(Box::new(settings));
        Self { state, checkpoint: Checkpoint::new(cursors), progress, left, keys, gate, held: None }
    }

    /// What is left to read. A page counts as done with when the next one is asked for.
    ///
    /// It is [done](Checkpoint::is_done) once the stream has ended because nothing was left.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// What was handed out so far.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Lets go of the page that was handed out last.
    fn let_go(&mut self) {
        if let Some(Held { segment, next, .. }) = self.held.take() {
            self.checkpoint.move_to(segment, next);
        }
    }

    fn poll_delivery(&mut self, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        if let State::New(_) = self.state
            && let Err(error) = self.start()
        {
            return Poll::Ready(Some(Err(error)));
        }
        let State::Reading { pages, workers } = &mut self.state else {
            return Poll::Ready(None);
        };
        match ready!(pages.poll_recv(context)) {
            None => workers.0.poll_unpin(context).map(ended),
            delivery => Poll::Ready(delivery),
        }
    }

    fn start(&mut self) -> Result<(), ScanError> {
        let State::New(settings) = mem::replace(&mut self.state, State::Done) else { return Ok(()) };
        let cursors = settings.cursors()?;
        if self.left != Some(0) {
            let (deliver, pages) = mpsc::unbounded_channel();
            let workers = Workers(workers::start(*settings, cursors, deliver));
            self.state = State::Reading { pages, workers };
        }
        Ok(())
    }

    fn hand_out(&mut self, mut page: Page, room: OwnedSemaphorePermit) -> Page {
        if let Some(left) = &mut self.left {
            page.cut(usize::try_from(*left).unwrap_or(usize::MAX), self.keys.as_deref());
            *left -= page.len() as u64;
            if *left == 0 {
                self.state = State::Done;
            }
        }
        if let Some(gate) = &mut self.gate {
            gate.charge(page.items().map(|item| item.json().len()));
        }
        self.progress.count(&page);
        self.held = Some(Held { segment: page.segment(), next: page.cursor().cloned(), _room: room });
        page
    }
}

/// The workers have ended. Had one panicked, the end would not be the end.
fn ended(workers: Result<(), tokio::task::JoinError>) -> Option<Delivery> {
    if let Err(error) = workers
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
    None
}

impl Stream for Pages {
    type Item = Result<Page, ScanError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.let_go();
        if let Some(gate) = &mut self.gate
            && !ready!(gate.poll_ready(context))
        {
            self.state = State::Done;
        }
        let delivery = ready!(self.poll_delivery(context));
        Poll::Ready(match delivery {
            Some(Ok((page, room))) => Some(Ok(self.hand_out(page, room))),
            Some(Err(error)) => {
                self.state = State::Done;
                Some(Err(error))
            }
            None => {
                self.state = State::Done;
                None
            }
        })
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("progress", &self.progress).finish_non_exhaustive()
    }
}
