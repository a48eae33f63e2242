//! Many operations in as few requests as fit, repeated one by one where that may help.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{Stream, StreamExt, future::ready, stream};
use tokio::time::{Instant, sleep, timeout_at};

use super::{Index, IndexError, Operation, Written};
use crate::sink::table::wait_after;

/// How often an operation is sent if there is no deadline to end it.
const MAX_ROUNDS: u32 = 12;

/// Timers tick in milliseconds: a wait may end that much later.
const TICK: Duration = Duration::from_millis(1);

/// How large bulk requests may be, how many may be on their way, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most bytes of a request's body: 5 MB unless it says otherwise. A document that is larger alone is still sent.
    ///
    /// Small managed domains take 10 MiB, others 100 MB; 5 to 15 MB is what the vendors advise.
    pub bytes: usize,
    /// The most operations of a request: 1,000 unless it says otherwise.
    pub operations: usize,
    /// Requests on their way at the same time: 4 unless it says otherwise; 0 counts as 1.
    pub concurrency: usize,
    /// When to give up on what is not done, if ever.
    pub until: Option<Instant>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 5_000_000, operations: 1_000, concurrency: 4, until: None }
    }
}

type Answer = (usize, Result<Written, IndexError>);

/// Carries out operations on different documents, and yields what came of each, with its index, request by request.
///
/// Bodies are cut at `limits.bytes` and `limits.operations`; a body that the server still finds too large is
/// halved. An operation that failed in a way that may pass (overload, a conflict, a lost connection, 5xx) is sent
/// again, without its neighbours that are done, after a growing, random wait of at most 2 s: up to 12 times, or until the next
/// wait would pass the deadline. After a failure that stays and is no reject, or at the deadline, no further
/// request is started: its operations yield nothing.
///
/// Each document must appear once, or two requests for one document may be under way together; the version rule
/// keeps even those right.
pub fn write_documents(
    index: &dyn Index,
    operations: Vec<Operation>,
    limits: Limits,
) -> impl Stream<Item = Answer> + Send + '_ {
    let gate = Gate { failed: Arc::default(), until: limits.until };
    let admission = gate.clone();
    stream::iter(bodies(operations, limits))
        .take_while(move |_| ready(admission.is_open()))
        .map(move |body| {
            let gate = gate.clone();
            async move {
                let mut sending = Sending { index, until: limits.until, answers: Vec::new() };
                sending.body(body).await;
                sending.answers.iter().for_each(|(_, answer)| gate.saw(answer));
                stream::iter(sending.answers)
            }
        })
        .buffer_unordered(limits.concurrency.max(1))
        .flatten()
}

/// Closes for good behind the first failure that a repetition may mend, and at the deadline.
#[derive(Clone)]
struct Gate {
    failed: Arc<AtomicBool>,
    until: Option<Instant>,
}

impl Gate {
    fn is_open(&self) -> bool {
        !self.failed.load(Ordering::Relaxed) && self.until.is_none_or(|until| Instant::now() < until)
    }

    fn saw(&self, answer: &Result<Written, IndexError>) {
        if answer.as_ref().is_err_and(|error| !error.is_reject()) {
            self.failed.store(true, Ordering::Relaxed);
        }
    }
}

/// The operations of one request, and the index of each.
#[derive(Default)]
struct Body {
    operations: Vec<Operation>,
    indices: Vec<usize>,
    bytes: usize,
}

/// Packs operations into bodies in order.
fn bodies(operations: Vec<Operation>, limits: Limits) -> Vec<Body> {
    let mut bodies: Vec<Body> = Vec::new();
    for (index, operation) in operations.into_iter().enumerate() {
        let bytes = operation.wire_size();
        let fits = |body: &Body| body.operations.len() < limits.operations.max(1) && body.bytes + bytes <= limits.bytes;
        if !bodies.last().is_some_and(fits) {
            bodies.push(Body::default());
        }
        let body = bodies.last_mut().expect("one was pushed");
        body.operations.push(operation);
        body.indices.push(index);
        body.bytes += bytes;
    }
    bodies
}

impl Body {
    /// Takes the second half away.
    fn split_off(&mut self) -> Self {
        let half = self.operations.len() / 2;
        let (operations, indices) = (self.operations.split_off(half), self.indices.split_off(half));
        Self { operations, indices, bytes: 0 }
    }
}

/// One body on its way, and the answers so far.
struct Sending<'i> {
    index: &'i dyn Index,
    until: Option<Instant>,
    answers: Vec<Answer>,
}

impl Sending<'_> {
    /// Sends a body. What the server refuses as a whole is halved until only the one that does not fit is left.
    async fn body(&mut self, body: Body) {
        let mut parts = VecDeque::from([body]);
        while let Some(mut part) = parts.pop_front() {
            match self.part(&mut part).await {
                Err(error) if error.is_reject() && part.operations.len() > 1 => {
                    let rest = part.split_off();
                    parts.push_front(rest);
                    parts.push_front(part);
                }
                Err(error) => self.answers.extend(part.indices.iter().map(|index| (*index, Err(error.clone())))),
                Ok(()) => {}
            }
        }
    }

    /// Sends a body again and again until each operation is answered for; leaves in it what is not, if it fails
    /// as a whole.
    async fn part(&mut self, body: &mut Body) -> Result<(), IndexError> {
        for round in 1.. {
            let outcome = self.once(body).await;
            let wait = wait_after(round);
            let last = round >= MAX_ROUNDS || self.until.is_some_and(|until| Instant::now() + wait + TICK >= until);
            match outcome {
                Ok(failures) if failures.is_empty() => break,
                Ok(failures) if last => {
                    self.answers.extend(body.indices.drain(..).zip(failures.into_iter().map(Err)));
                    break;
                }
                Err(error) if last || !error.is_transient() => return Err(error),
                Ok(_) | Err(_) => sleep(wait).await,
            }
        }
        Ok(())
    }

    /// Sends a body once. Keeps in it the operations that are worth sending again, and answers with their errors.
    async fn once(&mut self, body: &mut Body) -> Result<Vec<IndexError>, IndexError> {
        let answers = self.in_time(&body.operations).await?;
        if answers.len() != body.operations.len() {
            let why = format!("{} answers to {} operations", answers.len(), body.operations.len());
            return Err(IndexError::Failed { server: self.index.name().into(), source: Arc::from(Box::from(why)) });
        }
        let operations = std::mem::take(&mut body.operations).into_iter();
        let mut failures = Vec::new();
        for ((operation, index), answer) in operations.zip(std::mem::take(&mut body.indices)).zip(answers) {
            match answer {
                Err(error) if error.is_transient() => {
                    body.operations.push(operation);
                    body.indices.push(index);
                    failures.push(error);
                }
                answer => self.answers.push((index, answer)),
            }
        }
        Ok(failures)
    }

    /// The answer of a request, or [`IndexError::OutOfTime`] once the deadline has passed.
    async fn in_time(&self, operations: &[Operation]) -> Result<Vec<Result<Written, IndexError>>, IndexError> {
        let request = self.index.bulk(operations);
        match self.until {
            None => request.await,
            Some(until) => match timeout_at(until, request).await {
                Ok(answer) => answer,
                Err(_) => Err(IndexError::OutOfTime { server: self.index.name().into() }),
            },
        }
    }
}

#[cfg(test)]
mod tests;
