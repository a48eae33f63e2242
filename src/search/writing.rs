//! Documents on their way to the server, and the verdicts of their changes.

use std::{
    collections::{BTreeSet, HashSet},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;
use tokio::time::timeout_at;

use super::{Changes, Document, Fields, Naming, Search, Tombstones, error::NotMade};
use crate::{
    handler::{Batch, Deadline, Failure, Outcome, Skip},
    record::{FromImage, StreamView},
    sink::index::{Index, IndexError, Limits, Operation, Written, write_documents},
};

/// How long before the deadline requests under way are given up, so that their records are still answered for.
const MARGIN: Duration = Duration::from_millis(500);

/// Indexes to be made before they are written to, and those that are there.
pub(super) struct Made {
    body: Document,
    names: Mutex<HashSet<Arc<str>>>,
}

impl Made {
    pub(super) fn new(body: Document) -> Self {
        Self { body, names: Mutex::default() }
    }

    fn has(&self, name: &str) -> bool {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    /// Makes the indexes that are not known to be there.
    async fn make(
        &self,
        server: &dyn Index,
        names: BTreeSet<Arc<str>>,
        fields: &Fields,
        until: Deadline,
    ) -> Result<(), NotMade> {
        let mut body = self.body.clone();
        fields.map_in(&mut body);
        for name in names.into_iter().filter(|name| !self.has(name)) {
            let made = in_time(server, server.create(&name, &body), until).await;
            made.map_err(|source| NotMade { index: Arc::clone(&name), source })?;
            self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        }
        Ok(())
    }
}

/// The answer of a request, or [`IndexError::OutOfTime`] once the deadline has passed.
async fn in_time<R>(
    server: &dyn Index,
    request: impl Future<Output = Result<R, IndexError>>,
    until: Deadline,
) -> Result<R, IndexError> {
    match until.instant() {
        None => request.await,
        Some(until) => match timeout_at(until, request).await {
            Ok(answer) => answer,
            Err(_) => Err(IndexError::OutOfTime { server: server.name().into() }),
        },
    }
}

/// What the operations of one document came to so far.
struct Progress {
    changes: Changes,
    open: usize,
    applied: bool,
    failure: Option<IndexError>,
}

impl Progress {
    fn saw(&mut self, answer: Result<Written, IndexError>) {
        self.open -= 1;
        match answer {
            Ok(written) => self.applied |= written == Written::Applied,
            // What may pass wins: the whole document is looked at again then.
            Err(error) if self.failure.as_ref().is_none_or(IndexError::is_reject) => self.failure = Some(error),
            Err(_) => {}
        }
    }

    /// The verdict of all changes of the document, for each of them.
    fn verdict(&self) -> Result<Outcome, Failure> {
        match &self.failure {
            Some(error) => Err(Failure::retry(error.clone())),
            None if self.applied => Ok(Outcome::Applied),
            None => Ok(Outcome::Skipped(Skip::Stale)),
        }
    }
}

impl<T: FromImage, N: Naming<T>> Search<T, N> {
    /// Writes what the last change of each document says. Answers with the documents whose last change was rejected
    /// but that have earlier ones, or none if nothing more is to be started.
    pub(super) async fn write(&self, batch: &mut Batch<'_, T, N::View>, changes: Vec<Changes>) -> Vec<Changes> {
        let until = give_up(batch.context().deadline);
        let (mut progress, operations, owners) = self.plan(changes);
        if let Err(error) = self.make_indexes(&operations, until).await {
            let error = Arc::new(error);
            let tickets = progress.into_iter().flatten().flat_map(|one| one.changes.steps).map(|step| step.ticket);
            tickets.for_each(|ticket| batch.settle(ticket, Err::<(), _>(Failure::retry(Arc::clone(&error)))));
            return Vec::new();
        }
        let limits = Limits { until: until.instant(), ..self.limits };
        let (mut rest, mut halted) = (Vec::new(), false);
        let mut answers = pin!(write_documents(&*self.server, operations, limits));
        while let Some((at, answer)) = answers.next().await {
            let owner = &mut progress[owners[at]];
            let document = owner.as_mut().expect("it is open while an operation of it is");
            document.saw(answer);
            if document.open > 0 {
                continue;
            }
            let done = owner.take().expect("it was just there");
            halted |= done.failure.as_ref().is_some_and(|error| !error.is_reject());
            rest.extend(settle(batch, done));
        }
        rest.retain(|_| !halted);
        rest
    }

    /// The operations of all documents, and which document each is of.
    fn plan(&self, changes: Vec<Changes>) -> (Vec<Option<Progress>>, Vec<Operation>, Vec<usize>) {
        let buries = self.tombstones == Tombstones::Keep;
        let (mut progress, mut operations, mut owners) = (Vec::new(), Vec::new(), Vec::new());
        for (owner, mut changes) in changes.into_iter().enumerate() {
            let ours = changes.operations(buries, &self.fields);
            progress.push(Some(Progress { changes, open: ours.len(), applied: false, failure: None }));
            owners.extend(std::iter::repeat_n(owner, ours.len()));
            operations.extend(ours);
        }
        (progress, operations, owners)
    }

    async fn make_indexes(&self, operations: &[Operation], until: Deadline) -> Result<(), NotMade> {
        let Some(made) = &self.made else { return Ok(()) };
        let names = operations.iter().map(|operation| Arc::clone(operation.index())).collect();
        made.make(&*self.server, names, &self.fields, until).await
    }
}

/// Settles the changes of a document. If the last one was rejected, the earlier ones are handed back.
fn settle<T: FromImage, V: StreamView>(batch: &mut Batch<'_, T, V>, mut done: Progress) -> Option<Changes> {
    if let Some(error) = done.failure.take_if(|error| error.is_reject()) {
        let last = done.changes.steps.pop().expect("no document is without changes");
        batch.settle(last.ticket, Err::<(), _>(Failure::reject(error)));
        return Some(done.changes).filter(|earlier| !earlier.steps.is_empty());
    }
    for step in std::mem::take(&mut done.changes.steps) {
        batch.settle(step.ticket, done.verdict());
    }
    None
}

fn give_up(deadline: Deadline) -> Deadline {
    match deadline.remaining() {
        Some(left) => deadline.minus(MARGIN.min(left / 3)),
        None => deadline,
    }
}
