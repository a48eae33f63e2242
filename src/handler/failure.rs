//! What became of a record.

use std::{error::Error, fmt};

/// Any error, boxed.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// What a handler made of a record: an outcome, or a failure.
pub type Verdict = Result<Outcome, Failure>;

/// A record that is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The handler did its work.
    Applied,
    /// The handler had nothing to do, for the stated reason.
    Skipped(Skip),
}

/// Why a record needed no work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Skip {
    /// A predicate (`when`) did not want it.
    Filtered,
    /// A later state of the item counts: the target holds it already, or was to be without the item by now.
    Stale,
    /// Its effect had already happened.
    Duplicate,
    /// It comes from a scan or an export, and the handler wants live changes only.
    Snapshot,
    /// Its entity is declared as ignored.
    Ignored,
}

impl Skip {
    /// The lower-case word used in logs, metrics and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filtered => "filtered",
            Self::Stale => "stale",
            Self::Duplicate => "duplicate",
            Self::Snapshot => "snapshot",
            Self::Ignored => "ignored",
        }
    }
}

/// Why a record is not done with, and what is to happen to it.
///
/// Any error becomes [`Retry`](Failure::Retry) through `?`: an error that was not thought about must not lose
/// a change. Name the ones that no retry can mend with [`Failure::reject`].
///
/// ```
/// use anabranch::handler::Failure;
///
/// fn parse(text: &str) -> Result<u32, Failure> {
///     text.parse().map_err(Failure::reject)
/// }
/// fn connect() -> Result<(), Failure> {
///     std::net::TcpStream::connect("127.0.0.1:1")?;
///     Ok(())
/// }
/// assert!(parse("x").unwrap_err().is_reject());
/// assert!(!connect().unwrap_err().is_reject());
/// ```
pub enum Failure {
    /// Deliver it again: Lambda redelivers from this record on.
    Retry(BoxError),
    /// It will never succeed: to the dead letter sink. Without one, it is retried.
    Reject(BoxError),
}

impl Failure {
    /// A failure that another delivery may mend.
    pub fn retry(error: impl Into<BoxError>) -> Self {
        Self::Retry(error.into())
    }

    /// A failure that no delivery can mend.
    pub fn reject(error: impl Into<BoxError>) -> Self {
        Self::Reject(error.into())
    }

    /// Whether the record goes to the dead letter sink.
    pub fn is_reject(&self) -> bool {
        matches!(self, Self::Reject(_))
    }

    /// The error behind the failure.
    pub fn error(&self) -> &(dyn Error + Send + Sync + 'static) {
        match self {
            Self::Retry(error) | Self::Reject(error) => error.as_ref(),
        }
    }

    /// The error and its sources in one line.
    pub fn reason(&self) -> String {
        let mut text = self.error().to_string();
        let mut source = self.error().source();
        while let Some(error) = source {
            let more = error.to_string();
            if !text.contains(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            source = error.source();
        }
        text
    }
}

impl<E: Into<BoxError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Retry(error.into())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.is_reject() { "Reject" } else { "Retry" };
        f.debug_tuple(name).field(&self.error()).finish()
    }
}

/// What a handler function may return.
///
/// `()` and `Ok(())` are [`Outcome::Applied`]; an [`Outcome`] is itself; an error converts as `?` would.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a handler can return",
    note = "return `()`, `Outcome`, `Result<(), E>` or `Result<Outcome, E>`, where `E` is `Failure` or any error"
)]
pub trait IntoVerdict {
    /// The verdict that this value stands for.
    fn into_verdict(self) -> Verdict;
}

impl IntoVerdict for () {
    fn into_verdict(self) -> Verdict {
        Ok(Outcome::Applied)
    }
}

impl IntoVerdict for Outcome {
    fn into_verdict(self) -> Verdict {
        Ok(self)
    }
}

impl<R: IntoVerdict, E: Into<Failure>> IntoVerdict for Result<R, E> {
    fn into_verdict(self) -> Verdict {
        self.map_err(Into::into)?.into_verdict()
    }
}

/// The handler panicked: the message is not here, since it may show an item, but where the panic hook puts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the handler panicked (a line before this one says where)")]
pub struct Panicked;

/// The handler did not finish in the time that its `timeout` allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the handler did not finish within {}", human(*limit))]
pub struct TimedOut {
    /// The time that was allowed.
    pub limit: std::time::Duration,
}

fn human(limit: std::time::Duration) -> String {
    format!("{limit:?}")
}

/// Two handlers' verdicts on one record: a retry wins over a reject, a reject over an outcome, and work done over
/// nothing to do.
pub(crate) fn merge(left: Verdict, right: Verdict) -> Verdict {
    match (left, right) {
        (Err(Failure::Retry(error)), _) | (_, Err(Failure::Retry(error))) => Err(Failure::Retry(error)),
        (Err(failure), _) | (_, Err(failure)) => Err(failure),
        (Ok(Outcome::Applied), _) | (_, Ok(Outcome::Applied)) => Ok(Outcome::Applied),
        (skipped, _) => skipped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::fmt::Error);

    #[test]
    fn any_error_is_a_retry() {
        let failure: Failure = Outer(std::fmt::Error).into();
        assert!(!failure.is_reject());
    }

    #[test]
    fn reason_names_the_sources() {
        let reason = Failure::reject(Outer(std::fmt::Error)).reason();
        assert!(reason.starts_with("outer: "), "{reason}");
    }

    #[test]
    fn a_nested_result_keeps_its_outcome() {
        let skipped: Result<Outcome, Failure> = Ok(Outcome::Skipped(Skip::Stale));
        assert_eq!(skipped.into_verdict().ok(), Some(Outcome::Skipped(Skip::Stale)));
    }

    #[test]
    fn a_failure_stays_what_it_is() {
        let rejected: Result<(), Failure> = Err(Failure::reject("no"));
        assert!(rejected.into_verdict().is_err_and(|failure| failure.is_reject()));
    }
}
