//! A topic in memory, for tests, with faults on demand.

use std::{
    collections::HashSet,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::{
    StreamExt,
    future::pending,
    stream::{self, BoxStream},
};
use tokio::task::yield_now;

use super::{Message, PublishError, Publisher};

/// Keeps messages in memory: for tests of handlers.
///
/// Every message gives way to other tasks before it takes effect, so that tests see what concurrency does.
pub struct Memory {
    messages: Mutex<Vec<Message>>,
    faults: Mutex<Box<FaultFn>>,
}

type FaultFn = dyn FnMut(&Message) -> Fault + Send;

/// What goes wrong with a message.
#[derive(Debug, Clone, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It is not published.
    Before(PublishError),
    /// It is published, and fails all the same: the answer is lost.
    After(PublishError),
    /// It is published, and there is never an answer.
    Hang,
}

impl Default for Memory {
    fn default() -> Self {
        Self { messages: Mutex::default(), faults: Mutex::new(Box::new(|_| Fault::None)) }
    }
}

impl Memory {
    /// Asks `faults` before every message what is to go wrong.
    #[must_use]
    pub fn with_faults(self, faults: impl FnMut(&Message) -> Fault + Send + 'static) -> Self {
        Self { faults: Mutex::new(Box::new(faults)), ..self }
    }

    /// The messages published so far, in the order they came.
    pub fn messages(&self) -> Vec<Message> {
        lock(&self.messages).clone()
    }

    async fn take(&self, message: &Message) -> Result<(), PublishError> {
        yield_now().await;
        let fault = lock(&self.faults)(message);
        if let Fault::Before(error) = fault {
            return Err(error);
        }
        lock(&self.messages).push(message.clone());
        match fault {
            Fault::After(error) => Err(error),
            Fault::Hang => pending().await,
            Fault::None | Fault::Before(_) => Ok(()),
        }
    }
}

impl Publisher for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn publish<'a>(&'a self, messages: &'a [Message]) -> BoxStream<'a, (usize, Result<(), PublishError>)> {
        let start = (messages.iter().enumerate(), HashSet::<&str>::new());
        stream::unfold(start, async |(mut rest, mut held)| {
            let free = |message: &Message| message.group_id().is_none_or(|group| !held.contains(group));
            let (at, message) = rest.find(|(_, message)| free(message))?;
            let result = self.take(message).await;
            match &result {
                Ok(()) => {}
                Err(error) if error.is_reject() => held.extend(message.group_id()),
                Err(_) => rest = [].iter().enumerate(),
            }
            Some(((at, result), (rest, held)))
        })
        .boxed()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("messages", &lock(&self.messages).len()).finish()
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn conforms() {
        let topic = Memory::default();
        crate::sink::conformance::publisher(&topic, async || topic.messages()).await;
    }

    fn reject() -> PublishError {
        PublishError::Unfit { topic: "memory".into(), reason: "told to refuse it" }
    }

    #[tokio::test]
    async fn what_stands_behind_a_failure_is_not_published() {
        let message = |body: &str, group: &str| Message::new(body).group(group);
        let messages =
            [message("a1", "a"), message("a2", "a"), message("b1", "b"), message("a3", "a"), message("b2", "b")];
        for (error, published) in [(reject(), vec!["a1", "b1", "b2"]), (PublishError::other("no"), vec!["a1"])] {
            let fault = move |message: &Message| match message.body() {
                "a2" => Fault::Before(error.clone()),
                _ => Fault::None,
            };
            let topic = Memory::default().with_faults(fault);
            let results = topic.publish(&messages).count().await;
            assert_eq!(results, published.len() + 1, "one for each that was tried");
            assert_eq!(topic.messages().iter().map(Message::body).collect::<Vec<_>>(), published);
        }
    }
}
