//! Letters in memory, for tests.

use std::sync::{Mutex, PoisonError};

use futures_util::future::{BoxFuture, FutureExt, ready};

use super::{DeadLetter, DeadLetterError, DeadLetterSink};

/// Keeps letters in memory: for tests, since they end with the process.
///
/// ```
/// use anabranch::sink::dead_letter::{DeadLetter, DeadLetterSink, Memory};
/// # tokio_test(async {
/// let sink = Memory::default();
/// let letter = DeadLetter::new("{}", "why", "f", std::time::SystemTime::now());
/// assert!(sink.send(&[letter.clone()]).await[0].is_ok());
/// assert_eq!(sink.letters(), [letter]);
/// # });
/// # fn tokio_test(f: impl Future<Output = ()>) {
/// #     tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(f);
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Memory {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    letters: Vec<DeadLetter>,
    refusals: usize,
}

impl Memory {
    /// The letters kept so far, in the order they came.
    pub fn letters(&self) -> Vec<DeadLetter> {
        self.lock().letters.clone()
    }

    /// Refuses the next `count` letters, to see what happens to a reject that nobody takes.
    pub fn refuse_next(&self, count: usize) {
        self.lock().refusals = count;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, letter: &DeadLetter) -> Result<(), DeadLetterError> {
        if self.refusals > 0 {
            self.refusals -= 1;
            return Err(DeadLetterError::other("told to refuse this letter"));
        }
        self.letters.push(letter.clone());
        Ok(())
    }
}

impl DeadLetterSink for Memory {
    fn send<'a>(&'a self, letters: &'a [DeadLetter]) -> BoxFuture<'a, Vec<Result<(), DeadLetterError>>> {
        let mut state = self.lock();
        ready(letters.iter().map(|letter| state.keep(letter)).collect()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn conforms() {
        let sink = Memory::default();
        crate::sink::conformance::dead_letter_sink(&sink, async || sink.letters()).await;
    }

    #[tokio::test]
    async fn refuses_as_often_as_told() {
        let sink = Memory::default();
        sink.refuse_next(1);
        let letter = DeadLetter::new("{}", "why", "f", std::time::UNIX_EPOCH);
        let results = sink.send(&[letter.clone(), letter.clone()]).await;
        assert!(results[0].is_err() && results[1].is_ok());
        assert_eq!(sink.letters(), [letter]);
    }
}
