//! A backfill as a function: what a state machine asks it, step by step.

use aws_sdk_dynamodb::Client;
use serde::{Deserialize, Serialize};
use tokio::{sync::OnceCell, time::timeout_at};

use super::{
    Backfill, BackfillError, Counts, Plan, PlanError, Slice, SliceCursor, TableFacts, TableHistory, Wish,
    plan::MOST_SEGMENTS,
    verify::{Report, TableRows, Verify, VerifyError},
};
use crate::{dispatch::Dispatcher, handler::Deadline, replica::Replica, scan::Cursor};

/// So many items are compared with the replica at the end.
const SAMPLE: u64 = 500;

/// What a state machine asks of the function.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase", deny_unknown_fields)]
pub enum Ask {
    /// What is there to do?
    Plan {
        /// The name of the job: the name of the execution, for example.
        job: String,
        /// What is wanted.
        #[serde(default)]
        wish: Wish,
        /// What for: to bring the past, or to sweep up behind that.
        #[serde(default)]
        phase: Phase,
    },
    /// Read on in a segment.
    Slice {
        /// The plan, as it was answered.
        plan: Box<Plan>,
        /// Where the segment stands.
        cursor: Box<SliceCursor<Cursor>>,
    },
    /// What became of all segments?
    Report {
        /// What became of each.
        segments: Vec<Counts>,
    },
}

/// What a backfill does, one after the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Brings the past of the source to the targets.
    #[default]
    Bring,
    /// Deletes from a replica what a slice that crashed has left there of items that were deleted meanwhile.
    Sweep,
}

/// What the function answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// What is to be done, and where each segment begins.
    Planned {
        /// The plan; none if there is nothing to sweep.
        plan: Option<Box<Plan>>,
        /// A cursor for each segment.
        segments: Vec<SliceCursor<Cursor>>,
    },
    /// How the slice has ended.
    Slice(Box<Slice<Cursor>>),
    /// The sum of all segments.
    Report {
        /// What became of all rows.
        counts: Counts,
        /// What a sample of the table and its replica came to; none if there is nothing to verify, or no time.
        verified: Option<Report>,
    },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FunctionError {
    /// There is no plan.
    #[error("the backfill is not begun: {0}")]
    Plan(#[from] PlanError),
    /// The slice has failed.
    #[error(transparent)]
    Slice(#[from] BackfillError),
    /// The table and its replica cannot be compared. The backfill itself is done.
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

/// A backfill of one table as a function: it plans, runs slices, and sums up.
///
/// It keeps nothing between two questions but what the table's keys are: where a segment stands is in the answer.
#[derive(Debug)]
pub struct BackfillFunction {
    bring: Work,
    sweep: Option<Work>,
    /// The replica that is verified at the end.
    verify: Option<Replica>,
}

/// One table, and what its rows go through.
#[derive(Debug)]
struct Work {
    client: Client,
    table: String,
    dispatcher: Dispatcher,
    handler: String,
    generation: u32,
    described: OnceCell<Box<TableHistory>>,
}

impl BackfillFunction {
    /// A backfill of a table through these handlers, which `handler` names.
    pub fn new(
        client: Client,
        table: impl Into<String>,
        dispatcher: impl Into<Dispatcher>,
        handler: impl Into<String>,
    ) -> Self {
        Self { bring: Work::new(client, table.into(), dispatcher.into(), handler.into()), sweep: None, verify: None }
    }

    /// The generation of the target that is built: 0 unless a view is built anew.
    #[must_use]
    pub fn generation(mut self, generation: u32) -> Self {
        self.bring.generation = generation;
        self
    }

    /// Sweeps up in a replica when the past was brought there: the rows of `table` go through a
    /// [`Sweep`](crate::replica::Sweep).
    #[must_use]
    pub fn sweeping(mut self, client: Client, table: impl Into<String>, sweep: impl Into<Dispatcher>) -> Self {
        let handler = format!("{} sweep", self.bring.handler);
        self.sweep = Some(Work::new(client, table.into(), sweep.into(), handler));
        self
    }

    /// Compares a sample of 500 items with the replica that was [swept](Self::sweeping), both ways, when it reports at the end: that
    /// takes some seconds, and about 1,500 read units for items of up to 4 KB.
    #[must_use]
    pub fn verifying(mut self, replica: Replica) -> Self {
        self.verify = Some(replica);
        self
    }

    /// Answers one question, within the time that there is.
    ///
    /// # Errors
    /// The plan is refused, the slice has failed, or the tables cannot be compared.
    pub async fn answer(&self, ask: Ask, deadline: Deadline) -> Result<Answer, FunctionError> {
        match ask {
            Ask::Plan { job, wish, phase: Phase::Bring } => self.bring.plan(&job, wish, Plan::of).await,
            Ask::Plan { job, wish, phase: Phase::Sweep } => match &self.sweep {
                Some(sweep) => sweep.plan(&job, wish, Plan::of_sweep).await,
                None => Ok(Answer::Planned { plan: None, segments: Vec::new() }),
            },
            Ask::Slice { plan, cursor } => {
                let of_sweep = self.sweep.as_ref().filter(|sweep| sweep.handler == cursor.handler);
                of_sweep.unwrap_or(&self.bring).slice(&plan, *cursor, deadline).await
            }
            Ask::Report { segments } => {
                let mut counts = Counts::default();
                segments.iter().for_each(|segment| counts += segment);
                Ok(Answer::Report { counts, verified: self.verified(deadline).await? })
            }
        }
    }

    async fn verified(&self, deadline: Deadline) -> Result<Option<Report>, FunctionError> {
        let (Some(replica), Some(sweep)) = (&self.verify, &self.sweep) else { return Ok(None) };
        let (facts, _) = TableFacts::of(&self.bring.client, &self.bring.table).await?;
        let (source, target) = (self.bring.rows().await?, sweep.rows().await?);
        let mut verify = Verify::replica(source, replica.clone(), target).sample(SAMPLE);
        if let Some(attribute) = facts.expiry {
            verify = verify.skip_expired(attribute);
        }
        match deadline.instant() {
            Some(until) => Ok(timeout_at(until, verify.run()).await.ok().transpose()?),
            None => Ok(Some(verify.run().await?)),
        }
    }
}

impl Work {
    fn new(client: Client, table: String, dispatcher: Dispatcher, handler: String) -> Self {
        Self { client, table, dispatcher, handler, generation: 0, described: OnceCell::new() }
    }

    async fn plan(
        &self,
        job: &str,
        wish: Wish,
        of: impl FnOnce(&TableFacts, Wish) -> Result<Plan, PlanError>,
    ) -> Result<Answer, FunctionError> {
        let (facts, history) = TableFacts::of(&self.client, &self.table).await?;
        let plan = Box::new(of(&facts, wish)?);
        if plan.segments > MOST_SEGMENTS {
            let (setting, value) = ("the number of segments of a state machine", plan.segments.to_string());
            return Err(PlanError::Setting { setting, value, expected: "300 at most: its state has 256 KB" }.into());
        }
        let history = plan.apply(history);
        let places = history.places()?;
        let backfill = self.backfill(history);
        let segments = places.into_iter().map(|place| backfill.begin(job, place)).collect();
        Ok(Answer::Planned { plan: Some(plan), segments })
    }

    async fn slice(
        &self,
        plan: &Plan,
        cursor: SliceCursor<Cursor>,
        deadline: Deadline,
    ) -> Result<Answer, FunctionError> {
        let describe = || async { TableHistory::of(&self.client, &self.table).await.map(Box::new) };
        let history = self.described.get_or_try_init(describe).await?.again();
        let backfill = self.backfill(plan.apply(history));
        Ok(Answer::Slice(Box::new(backfill.run_slice(cursor, deadline).await?)))
    }

    async fn rows(&self) -> Result<TableRows, BackfillError> {
        TableRows::of(&self.client, &self.table).await
    }

    fn backfill(&self, history: TableHistory) -> Backfill<TableHistory> {
        Backfill::new(history, self.dispatcher.clone(), &self.handler).generation(self.generation)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aws_sdk_dynamodb::config::{BehaviorVersion, Config};
    use serde_json::json;

    use super::*;
    use crate::{record::NewImage, router::Router};

    /// What a state of a state machine may hold, its input included.
    const STATE: usize = 256 * 1024;

    fn counts() -> Counts {
        let reasons = ["filtered", "stale", "duplicate", "snapshot", "ignored"];
        let many = 9_999_999_999;
        Counts {
            portions: many,
            scanned: many,
            records: many,
            expired: many,
            applied: many,
            skipped: BTreeMap::from(reasons.map(|reason| (reason.to_owned(), many))),
            dead: many,
            units: 1e10 - 0.5,
        }
    }

    #[test]
    fn the_state_of_the_machine_holds_all_segments_whatever_the_names() {
        let client = Client::from_conf(Config::builder().behavior_version(BehaviorVersion::v2026_01_12()).build());
        let table = "t".repeat(255);
        let history = || TableHistory::described(&client, &*table, None).segments(MOST_SEGMENTS);
        let backfill = Backfill::new(history(), Dispatcher::new(Router::<NewImage>::new()), "backfill sweep");
        let places = history().places().unwrap();
        let cursors: Vec<_> = places.into_iter().map(|place| backfill.begin("j".repeat(80), place)).collect();
        assert_eq!(cursors.len(), MOST_SEGMENTS as usize);
        // As it is between the plan of the sweep and its end: what became of the table's segments, and where the replica's begin.
        let plan = json!({ "table": table, "warnings": ["w".repeat(1_000)] });
        let state = json!({
            "wish": Wish::default(), "plan": plan, "segments": vec![counts(); cursors.len()],
            "sweep": { "plan": plan, "segments": cursors },
        });
        let bytes = state.to_string().len();
        assert!(bytes < STATE, "{bytes} bytes");
    }

    #[test]
    fn what_became_of_a_sweep_is_not_kept_in_the_state() {
        let definition: serde_json::Value =
            serde_json::from_str(include_str!("../../../handlers/backfill.asl.json")).unwrap();
        assert_eq!(definition["States"]["Sweep"]["ResultPath"], json!(null));
        let used: Vec<_> =
            definition["States"]["Report"]["Parameters"]["Payload"].as_object().unwrap().values().collect();
        assert_eq!(used, ["report", "$.segments"]);
    }
}
