//! A backfill as a function: what a state machine asks it, step by step.

use aws_sdk_dynamodb::Client;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::{Backfill, BackfillError, Counts, Plan, PlanError, Slice, SliceCursor, TableFacts, TableHistory, Wish};
use crate::{dispatch::Dispatcher, handler::Deadline, scan::Cursor};

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

/// What the function answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// What is to be done, and where each segment begins.
    Planned {
        /// The plan.
        plan: Box<Plan>,
        /// A cursor for each segment.
        segments: Vec<SliceCursor<Cursor>>,
    },
    /// How the slice has ended.
    Slice(Box<Slice<Cursor>>),
    /// The sum of all segments.
    Report {
        /// What became of all rows.
        counts: Counts,
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
}

/// A backfill of one table as a function: it plans, runs slices, and sums up.
///
/// It keeps nothing between two questions but what the table's keys are: where a segment stands is in the answer.
#[derive(Debug)]
pub struct BackfillFunction {
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
        Self {
            client,
            table: table.into(),
            dispatcher: dispatcher.into(),
            handler: handler.into(),
            generation: 0,
            described: OnceCell::new(),
        }
    }

    /// The generation of the target that is built: 0 unless a view is built anew.
    #[must_use]
    pub fn generation(mut self, generation: u32) -> Self {
        self.generation = generation;
        self
    }

    /// Answers one question, within the time that there is.
    ///
    /// # Errors
    /// The plan is refused, or the slice has failed.
    pub async fn answer(&self, ask: Ask, deadline: Deadline) -> Result<Answer, FunctionError> {
        match ask {
            Ask::Plan { job, wish } => self.plan(&job, wish).await,
            Ask::Slice { plan, cursor } => self.slice(&plan, *cursor, deadline).await,
            Ask::Report { segments } => {
                let mut counts = Counts::default();
                segments.iter().for_each(|segment| counts += segment);
                Ok(Answer::Report { counts })
            }
        }
    }

    async fn plan(&self, job: &str, wish: Wish) -> Result<Answer, FunctionError> {
        let (facts, history) = TableFacts::of(&self.client, &self.table).await?;
        let plan = Box::new(Plan::of(&facts, wish)?);
        let history = plan.apply(history);
        let places = history.places()?;
        let backfill = self.backfill(history);
        let segments = places.into_iter().map(|place| backfill.begin(job, place)).collect();
        Ok(Answer::Planned { plan, segments })
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

    fn backfill(&self, history: TableHistory) -> Backfill<TableHistory> {
        Backfill::new(history, self.dispatcher.clone(), &self.handler).generation(self.generation)
    }
}
