//! A scan that runs by itself, into a consumer or a channel.

use std::{
    error::Error,
    fmt,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::{FutureExt, StreamExt};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
};

use super::{
    Checkpoint, ItemError, Progress, Read, ScanError,
    batches::{Batch, Batches, Mark},
};
use crate::record::FromImage;

/// So many items are decoded at a time for a channel.
const CHANNEL_BATCH: usize = 64;

/// A scan that runs by itself: [`Read::for_each_batch`] and [`Read::send_to`].
///
/// Awaiting it gives its [`Report`]. Dropping it stops the scan at once; [`cancel`](Self::cancel) lets it finish what it has begun.
/// A panic of the consumer is one of whoever awaits.
#[must_use = "dropping a job stops its scan"]
pub struct Job {
    task: JoinHandle<Result<Report, JobError>>,
    cancel: Arc<Notify>,
    progress: watch::Receiver<Progress>,
}

impl Job {
    /// Takes no further items. Those that the consumer has are finished, and the report says what is left.
    pub fn cancel(&self) {
        self.cancel.notify_one();
    }

    /// How far it has come, by what the consumer is done with.
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// The same as it changes, for a progress bar.
    pub fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }
}

impl Future for Job {
    type Output = Result<Report, JobError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = ready!(self.task.poll_unpin(context));
        Poll::Ready(ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("progress", &self.progress()).finish_non_exhaustive()
    }
}

/// What a job came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// What the consumer is done with.
    pub progress: Progress,
    /// What is left: nothing, unless the job was cancelled, was to take only so much, or had a deadline.
    pub checkpoint: Checkpoint,
}

/// Why a job ended before its end, and what it came to until then.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the scan ended after {} items", .report.progress.items)]
pub struct JobError {
    /// Why.
    #[source]
    pub error: Arc<ScanError>,
    /// What the consumer was done with, and what is left to resume.
    pub report: Report,
}

/// What a channel gets from [`Read::send_to`].
#[derive(Debug)]
pub enum Message<T> {
    /// An item, or why it does not decode.
    Item(Result<T, ItemError>),
    /// Nothing more comes, and nothing went wrong.
    Done(Report),
    /// Nothing more comes, because something went wrong.
    Failed(JobError),
}

/// Nobody takes the messages of a job.
#[derive(Debug, thiserror::Error)]
#[error("the receiver of the channel is gone")]
struct NobodyListens;

impl<K> Read<K> {
    /// Hands the items in batches of `size` to an async function, so many batches at a time.
    ///
    /// No page is read for which there is no room, so a slow consumer slows the scan. Batches go across pages and segments;
    /// only the last, and the last before an error, is smaller. A batch counts as done with when the function has succeeded, and
    /// all before it have: that is what the [report](Report) lets a later run resume behind. The first error ends the job.
    ///
    /// ```no_run
    /// use anabranch::scan::{ItemError, Scan};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Pet { name: String }
    ///
    /// async fn greet(pets: Vec<Result<Pet, ItemError>>) -> Result<(), ItemError> {
    ///     for pet in pets {
    ///         println!("{} letters", pet?.name.len());
    ///     }
    ///     Ok(())
    /// }
    ///
    /// # async fn example(client: aws_sdk_dynamodb::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let report = Scan::new(&client, "PetTracker").for_each_batch(25, 4, greet).await?;
    /// assert!(report.checkpoint.is_done());
    /// # Ok(())
    /// # }
    /// ```
    pub fn for_each_batch<T, F, R, E>(self, size: usize, concurrency: usize, consume: F) -> Job
    where
        T: FromImage,
        F: FnMut(Vec<Result<T, ItemError>>) -> R + Send + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
    {
        let batches = Batches::new(self.settings, size);
        spawn(batches.progress(), |control| drive(batches, concurrency, consume, control))
    }

    /// Sends the items into a channel, and behind them how it ended. A full channel slows the scan.
    ///
    /// An item counts as done with when the channel has taken it: what the receiver makes of it is not known here. If that matters,
    /// take [`for_each_batch`](Self::for_each_batch).
    pub fn send_to<T: FromImage>(self, channel: mpsc::Sender<Message<T>>) -> Job {
        let batches = Batches::new(self.settings, CHANNEL_BATCH);
        spawn(batches.progress(), async move |control| {
            let items = channel.clone();
            let consume = move |batch| send_all(items.clone(), batch);
            let outcome = drive(batches, 1, consume, control).await;
            let last = match outcome.clone() {
                Ok(report) => Message::Done(report),
                Err(error) => Message::Failed(error),
            };
            // Whoever awaits the job is told as well.
            let _ = channel.send(last).await;
            outcome
        })
    }
}

async fn send_all<T>(channel: mpsc::Sender<Message<T>>, batch: Vec<Result<T, ItemError>>) -> Result<(), NobodyListens> {
    for item in batch {
        channel.send(Message::Item(item)).await.map_err(|_| NobodyListens)?;
    }
    Ok(())
}

/// The job's end of its handle.
struct Control {
    cancel: Arc<Notify>,
    progress: watch::Sender<Progress>,
}

fn spawn<R>(progress: Progress, work: impl FnOnce(Control) -> R) -> Job
where
    R: Future<Output = Result<Report, JobError>> + Send + 'static,
{
    let cancel = Arc::new(Notify::new());
    let (sender, progress) = watch::channel(progress);
    let task = tokio::spawn(work(Control { cancel: Arc::clone(&cancel), progress: sender }));
    Job { task, cancel, progress }
}

async fn drive<T, F, R, E>(
    batches: Batches,
    concurrency: usize,
    mut consume: F,
    control: Control,
) -> Result<Report, JobError>
where
    T: FromImage,
    F: FnMut(Vec<Result<T, ItemError>>) -> R,
    R: Future<Output = Result<(), E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let mut report = Report { progress: batches.progress(), checkpoint: batches.checkpoint() };
    let batches = batches.stream::<T>().take_until(control.cancel.notified());
    let begun = batches.map(|batch| batch.map(|Batch { items, mark }| (begin(&mut consume, items), mark)));
    let done = begun.map(finish).buffered(concurrency.max(1));
    let mut done = pin!(done);
    while let Some(outcome) = done.next().await {
        match outcome {
            Ok(mark) => mark.apply(&mut report.checkpoint, &mut report.progress),
            Err(error) => return Err(JobError { error: Arc::new(error), report }),
        }
        control.progress.send_replace(report.progress);
    }
    Ok(report)
}

/// A batch may only say that pages without items are done with.
fn begin<T, R>(consume: &mut impl FnMut(Vec<T>) -> R, items: Vec<T>) -> Option<R> {
    (!items.is_empty()).then(|| consume(items))
}

async fn finish<R, E>(begun: Result<(Option<R>, Mark), ScanError>) -> Result<Mark, ScanError>
where
    R: Future<Output = Result<(), E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let (work, mark) = begun?;
    if let Some(work) = work {
        work.await.map_err(|error| ScanError::Consumer { source: error.into() })?;
    }
    Ok(mark)
}
