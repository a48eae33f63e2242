//! The whole `main` of a backfill function.

use std::{sync::Arc, time::Duration};

use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};

use super::{deadline, logs};
use crate::{
    handler::Failure,
    source::backfill::{Answer, Ask, BackfillError, BackfillFunction, FunctionError},
};

/// The time that an answer needs to get out.
const MARGIN: Duration = Duration::from_millis(500);

/// Runs a backfill function for as long as Lambda keeps it: a whole `main`.
///
/// A state machine asks it to plan, to run slices and to sum up; see [`backfill`](crate::source::backfill).
///
/// # Errors
/// The Lambda runtime API cannot be reached.
///
/// # Panics
/// Outside of Lambda, where the runtime's environment variables are missing.
pub async fn run_backfill(function: BackfillFunction) -> Result<(), Error> {
    logs::init();
    let function = Arc::new(function);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Ask>| answer(Arc::clone(&function), event))).await
}

async fn answer(function: Arc<BackfillFunction>, event: LambdaEvent<Ask>) -> Result<Answer, FunctionError> {
    let answer = function.answer(event.payload, deadline(event.context.deadline).minus(MARGIN)).await;
    match &answer {
        Ok(Answer::Planned { plan: None, .. }) => tracing::info!("nothing to sweep"),
        Ok(Answer::Planned { plan: Some(plan), segments }) => {
            tracing::info!(table = plan.table, segments = segments.len(), seconds = plan.seconds, "planned");
            plan.warnings.iter().for_each(|warning| tracing::warn!(warning, "planned"));
        }
        Ok(Answer::Slice(slice)) => {
            let counts = slice.counts();
            let (scanned, applied, dead) = (counts.scanned, counts.applied, counts.dead);
            tracing::info!(done = slice.is_done(), scanned, applied, skipped = counts.skipped_total(), dead, "slice");
        }
        Ok(Answer::Report { counts, verified }) => {
            tracing::info!(%counts, "report");
            match verified {
                Some(verified) if !verified.is_equal() => tracing::warn!(%verified, "verified"),
                Some(verified) => tracing::info!(%verified, "verified"),
                None => {}
            }
        }
        Err(error) => tracing::error!(%error, "backfill failed"),
    }
    answer
}

/// The names by which a state machine tells what it may try again.
impl From<FunctionError> for Diagnostic {
    fn from(error: FunctionError) -> Self {
        let error_type = match &error {
            FunctionError::Plan(_) => "anabranch::Plan",
            FunctionError::Slice(BackfillError::Mismatch { .. }) => "anabranch::Mismatch",
            FunctionError::Slice(BackfillError::Unreconciled { .. }) => "anabranch::Unreconciled",
            FunctionError::Slice(_) => "anabranch::Slice",
            FunctionError::Verify(_) => "anabranch::Verify",
        };
        Self { error_type: error_type.to_owned(), error_message: Failure::retry(error).reason() }
    }
}
