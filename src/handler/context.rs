//! What a handler knows of the invocation around it.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

/// When the work has to be done: the end of the invocation, or never.
///
/// Times are [`tokio::time::Instant`]s, so tests drive them with a paused clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// No deadline: a long-running consumer.
    pub const NEVER: Self = Self(None);

    /// The deadline at an instant.
    pub fn at(instant: Instant) -> Self {
        Self(Some(instant))
    }

    /// The deadline after a time from now.
    pub fn after(time: Duration) -> Self {
        Self(Instant::now().checked_add(time))
    }

    /// The instant, if there is one.
    pub fn instant(self) -> Option<Instant> {
        self.0
    }

    /// The time that is left: zero once it has passed, none if there is no deadline.
    pub fn remaining(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// The same deadline, earlier by `margin`.
    pub fn minus(self, margin: Duration) -> Self {
        Self(self.0.map(|at| at.checked_sub(margin).unwrap_or(at)))
    }

    /// The output of `work`, or none if the deadline comes first: `work` is dropped then.
    pub async fn before<R>(self, work: impl Future<Output = R>) -> Option<R> {
        match self.0 {
            Some(at) => timeout_at(at, work).await.ok(),
            None => Some(work.await),
        }
    }

    /// Whether it has passed.
    pub fn passed(self) -> bool {
        self.0.is_some_and(|at| Instant::now() >= at)
    }
}

/// What a handler knows of the invocation around it.
#[derive(Debug, Clone)]
pub struct Context {
    /// The name of the function, as logs and dead letters show it.
    pub function: Arc<str>,
    /// The id of the request, if there is one.
    pub request_id: Option<Arc<str>>,
    /// When handlers are cut off; admission of records ends a measured margin earlier.
    pub deadline: Deadline,
}

impl Default for Context {
    fn default() -> Self {
        Self { function: "local".into(), request_id: None, deadline: Deadline::NEVER }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_passes() {
        let deadline = Deadline::after(Duration::from_secs(3));
        assert!(!deadline.passed());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(deadline.remaining(), Some(Duration::from_secs(1)));
        assert!(deadline.minus(Duration::from_secs(2)).passed());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(deadline.passed());
        assert!(!Deadline::NEVER.passed());
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_dropped_at_the_deadline() {
        let work = |seconds| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            seconds
        };
        let deadline = Deadline::after(Duration::from_secs(3));
        assert_eq!(deadline.before(work(2)).await, Some(2));
        assert_eq!(deadline.before(work(2)).await, None);
        assert_eq!(Deadline::NEVER.before(work(9)).await, Some(9));
    }
}
