//! What becomes of a batch after an invocation: the one place where retries, budgets and splits are decided.

use std::time::Duration;

use super::Settings;

/// The wait before the first retry. It doubles with each: seven calls within 31.5 seconds, and the eighth after a
/// minute, is what was seen of AWS (ESM-42); the constants themselves are not documented.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What an invocation says about its batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) enum Verdict {
    /// All of it is done with.
    Success,
    /// The records before this index are done with.
    Partial(usize),
    /// None of it is.
    Failure,
    /// The function did not run.
    NotRun,
}

/// What is known of a batch when an answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) records: usize,
    /// Invocations that ran with exactly this batch, the present one included.
    pub(super) attempts: u32,
    /// Invocations in a row that did not run.
    pub(super) not_run: u32,
}

/// What becomes of the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is done with.
    Done,
    /// The records before this index are; the rest is a new batch with a budget of its own (ESM-37).
    Advance(usize),
    /// Two batches, the first of so many records, each with a budget of its own. It takes no attempt (ESM-38).
    Split(usize),
    /// The same again, after a wait.
    Retry(Duration),
    /// It is given up on.
    Exhausted,
}

pub(super) fn decide(settings: &Settings, batch: Facts, verdict: &Verdict) -> Decision {
    match verdict {
        Verdict::Success => Decision::Done,
        Verdict::Partial(done) if *done > 0 => Decision::Advance(*done),
        Verdict::NotRun => Decision::Retry(wait(batch.not_run)),
        Verdict::Partial(_) | Verdict::Failure => after_failure(settings, batch),
    }
}

fn after_failure(settings: &Settings, batch: Facts) -> Decision {
    if settings.bisect_batch_on_function_error && batch.records > 1 {
        return Decision::Split(batch.records / 2);
    }
    match settings.maximum_retry_attempts {
        Some(retries) if batch.attempts > retries => Decision::Exhausted,
        _ => Decision::Retry(wait(batch.attempts)),
    }
}

/// The wait after so many failures in a row.
pub(super) fn wait(failures: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(retries: Option<u32>, bisect: bool, facts: (usize, u32, u32), verdict: Verdict) -> Decision {
        let mut settings = Settings::new("f");
        settings.maximum_retry_attempts = retries;
        settings.bisect_batch_on_function_error = bisect;
        let (records, attempts, not_run) = facts;
        decide(&settings, Facts { records, attempts, not_run }, &verdict)
    }

    #[test]
    fn esm_30_36_37_38_the_table_of_decisions() {
        use Decision::{Advance, Done, Exhausted, Retry, Split};
        use Verdict::{Failure, NotRun, Partial, Success};
        let half = Duration::from_millis(500);
        for (retries, bisect, facts, verdict, expected) in [
            (Some(1), true, (4, 1, 0), Success, Done),
            (Some(1), true, (4, 1, 0), Partial(1), Advance(1)),
            (Some(1), true, (4, 1, 0), Partial(0), Split(2)),
            (Some(1), true, (3, 1, 0), Failure, Split(1)),
            (Some(0), true, (2, 1, 0), Failure, Split(1)),
            (Some(1), true, (1, 1, 0), Failure, Retry(half)),
            (Some(1), true, (1, 2, 0), Failure, Exhausted),
            (Some(1), false, (4, 1, 0), Failure, Retry(half)),
            (Some(1), false, (4, 2, 0), Partial(0), Exhausted),
            (Some(0), false, (4, 1, 0), Failure, Exhausted),
            (None, false, (4, 10_000, 0), Failure, Retry(LONGEST_WAIT)),
            (Some(0), true, (4, 0, 1), NotRun, Retry(half)),
            (Some(0), false, (4, 0, 3), NotRun, Retry(4 * half)),
        ] {
            let input = format!("{retries:?} {bisect} {facts:?} {verdict:?}");
            assert_eq!(decision(retries, bisect, facts, verdict), expected, "{input}");
        }
    }

    #[test]
    fn esm_42_seven_calls_fit_into_the_first_half_minute() {
        let waits: Duration = (1..=6).map(wait).sum();
        assert_eq!(waits, Duration::from_millis(31_500));
        assert_eq!(waits + wait(7), Duration::from_millis(63_500));
        assert_eq!(wait(u32::MAX), LONGEST_WAIT);
    }
}
