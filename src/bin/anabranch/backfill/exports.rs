//! What a backfill from exports will do.

use std::{
    fmt,
    num::NonZeroU32,
    time::{Duration, SystemTime},
};

use anabranch::{
    aws::AwsFailure,
    record::Timestamp,
    source::{
        backfill::TableFacts,
        export::{Bridge, Export, ExportHistory, Kind},
    },
};
use aws_sdk_dynamodb::{Client, types::TableDescription};
use serde::Serialize;

use super::{Args, located::Located};
use crate::{BoxError, location::Location};

/// A stream keeps a record for so long.
const RETENTION: Duration = Duration::from_secs(24 * 3600);
const WORKERS: u32 = 4;
/// What is asked for where there is no such table.
const MISSING: &str = "ResourceNotFoundException";

/// Which exports are read, in which order, and what should be thought about before.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExportPlan {
    /// The table that was exported.
    pub(super) table: String,
    exports: Vec<Planned>,
    pub(super) items: u64,
    pub(super) workers: u32,
    items_per_second: Option<f64>,
    /// How long it takes at least, if there is a limit.
    seconds: Option<f64>,
    /// Whether rows are looked up in the table when they are written.
    reread: bool,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Planned {
    id: String,
    full: bool,
    until: String,
    items: u64,
    files: usize,
}

impl ExportPlan {
    /// Puts exports in order.
    pub(super) fn of(args: &Args, found: Vec<Export>) -> Result<(Self, Bridge), BoxError> {
        let limit = args.rows_per_second;
        if let Some(limit) = limit.filter(|limit| !(*limit > 0.0 && limit.is_finite())) {
            return Err(format!("the number of rows a second is {limit}, and has to be more than 0").into());
        }
        let bridge = Bridge::newest(found)?;
        let exports: Vec<_> = bridge.exports().iter().map(Planned::of).collect();
        let items = exports.iter().map(|export| export.items).sum();
        let mut plan = Self {
            table: bridge.exports()[0].table_name().to_owned(),
            exports,
            items,
            workers: args.workers.map_or(WORKERS, NonZeroU32::get),
            items_per_second: limit,
            seconds: limit.map(|limit| items as f64 / limit),
            reread: args.tombstones.is_none(),
            warnings: Vec::new(),
        };
        plan.warn(&bridge, args.generation, SystemTime::now());
        Ok((plan, bridge))
    }

    fn warn(&mut self, bridge: &Bridge, generation: u32, now: SystemTime) {
        if !self.exports[0].full && generation == 0 {
            self.warnings.push(
                "no full export is among them: rows that the stream has written are above any export, and stay as they are; \
                 to fill a gap in the stream, deploy the replica with a later generation, and say --generation"
                    .to_owned(),
            );
        }
        self.warnings.extend(bridge.exports().windows(2).filter_map(|pair| overlap(&pair[0], &pair[1])));
        let until = bridge.until();
        if Timestamp::from(now).as_nanos().saturating_sub(until.as_nanos()) > RETENTION.as_nanos() as i64 {
            self.warnings.push(format!(
                "they end at {until}, more than 24 hours ago: unless the stream's mapping was enabled before that, changes since then \
                 are lost; add an incremental export from then on"
            ));
        }
    }

    /// Says which exports hold more than what is read, and are not.
    pub(super) fn leave_out(&mut self, others: &[Export], until: Timestamp) {
        let further = others.iter().filter(|export| export.kind().until() > until);
        self.warnings.extend(further.map(|export| {
            let id = export.id();
            format!(
                "{id} has come since this was begun, and is left out; when this is done, bring what is in it as well"
            )
        }));
    }

    /// The exports as a history that is read as planned.
    pub(super) fn apply(&self, history: ExportHistory) -> ExportHistory {
        match self.items_per_second {
            Some(limit) => history.records_per_second(limit / f64::from(self.workers)),
            None => history,
        }
    }
}

/// A bridge takes what begins within the last second of another for its continuation.
fn overlap(first: &Export, second: &Export) -> Option<String> {
    let end = first.kind().until();
    let Kind::Incremental { from, .. } = second.kind() else { return None };
    (from < end).then(|| {
        format!(
            "{} begins less than a second before {} ends: an item that came in that time, and went after it, stays; \
             ask for exports as of whole seconds",
            second.id(),
            first.id()
        )
    })
}

/// The exports at all places, those of one table if it is named.
pub(super) async fn found(args: &Args) -> Result<Vec<Export>, BoxError> {
    let mut exports = Vec::new();
    for place in &args.export {
        let Location { store, path } = Location::of(place).await?;
        exports.extend(Export::find(store, path).await?);
    }
    if let Some(table) = &args.table {
        exports.retain(|export| export.table_name() == table);
        if exports.is_empty() {
            return Err(format!("none of these exports is of table {table}").into());
        }
    }
    Ok(exports)
}

/// Of the exports that were found, those that a backfill was begun with, and the others: what has come since is none of its segments.
pub(super) fn begun_with(found: Vec<Export>, begun: &[String]) -> Result<(Vec<Export>, Vec<Export>), BoxError> {
    if let Some(gone) = begun.iter().find(|arn| found.iter().all(|export| export.arn() != *arn)) {
        return Err(format!(
            "the backfill was begun with the export {gone}, which is not there: name its place with --export"
        )
        .into());
    }
    // A file from before they were kept names none.
    Ok(found.into_iter().partition(|export| begun.is_empty() || begun.iter().any(|arn| arn == export.arn())))
}

/// Why rows are not looked up in the table whose name the exports carry.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error(
        "the exports are of {exported}, and there is no table of that name here to look rows up in: use the credentials and the \
         region of the exported table; if it is gone, the replica has to keep tombstones: say --tombstones"
    )]
    Missing { exported: String },
    #[error(
        "the exports are of {exported}, and nobody can tell whether the table of that name here is the same: if it is another, rows \
         would be looked up in the wrong one, and taken back; allow dynamodb:DescribeTable on it, or keep --tombstones"
    )]
    Unknown { exported: String, source: AwsFailure },
    #[error(
        "the exports are of {exported}, and the table of that name here is {own}: rows would be looked up in the wrong one, and \
         taken back; use the credentials and the region of the exported table, or keep --tombstones"
    )]
    Another { exported: String, own: String },
    #[error(
        "the rows of {own} would be looked up in itself: for a copy elsewhere say --to-region, or keep --tombstones"
    )]
    Itself { own: String },
}

/// The table in which rows that are written are looked up: it goes by the name that the exports carry, and has to be the one that was
/// exported.
pub(super) async fn source(client: &Client, bridge: &Bridge, replica: &Located) -> Result<TableFacts, SourceError> {
    let export = &bridge.exports()[0];
    let (exported, name) = (export.table_arn(), export.table_name());
    let described = client.describe_table().table_name(name).send().await;
    let described = described.map_err(|error| not_described(exported, AwsFailure::of(&error)))?.table;
    let facts = TableFacts::described(name, &described.unwrap_or_else(|| TableDescription::builder().build()));
    let own = Located::by(client, facts);
    must_be_the_source(exported, &own, replica)?;
    Ok(own.facts)
}

fn not_described(exported: &str, source: AwsFailure) -> SourceError {
    let exported = exported.to_owned();
    match source.code.as_deref() {
        Some(MISSING) => SourceError::Missing { exported },
        _ => SourceError::Unknown { exported, source },
    }
}

fn must_be_the_source(exported: &str, own: &Located, replica: &Located) -> Result<(), SourceError> {
    let name = || own.name().to_owned();
    if own.is(replica) {
        return Err(SourceError::Itself { own: name() });
    }
    if own.is_not(exported) {
        return Err(SourceError::Another { exported: exported.to_owned(), own: name() });
    }
    Ok(())
}

impl Planned {
    fn of(export: &Export) -> Self {
        Self {
            id: export.id().to_owned(),
            full: matches!(export.kind(), Kind::Full { .. }),
            until: export.kind().until().to_string(),
            items: export.items(),
            files: export.files(),
        }
    }
}

/// For people.
impl fmt::Display for ExportPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "table      {}: {} items and changes", self.table, self.items)?;
        for Planned { id, full, until, items, files } in &self.exports {
            let kind = if *full { "full, as of" } else { "incremental, until" };
            writeln!(f, "export     {id}: {kind} {until}; {items} items in {files} files")?;
        }
        writeln!(f, "workers    {} files at a time", self.workers)?;
        if !self.reread {
            writeln!(f, "reads      nothing of the table")?;
        }
        if let Some(seconds) = self.seconds {
            let time = Duration::from_secs(seconds.ceil() as u64);
            writeln!(f, "time       about {}, if the targets keep up", humantime::format_duration(time))?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning    {warning}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::located::tests::located, *};

    const PROD: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/PetTracker";
    const DEV: &str = "arn:aws:dynamodb:eu-west-1:210987654321:table/PetTracker";
    const LOCAL: &str = "arn:aws:dynamodb:local:000000000000:table/PetTracker";

    #[test]
    fn rows_are_looked_up_in_the_table_that_was_exported_and_in_no_other() {
        let here = |arn| located(arn, "eu-west-1");
        let copy = here("arn:aws:dynamodb:eu-west-1:123456789012:table/Copy");
        assert!(must_be_the_source(PROD, &here(PROD), &copy).is_ok());
        assert!(must_be_the_source(PROD, &here(LOCAL), &copy).is_ok(), "whose it is nobody can tell");
        let refused = must_be_the_source(PROD, &here(DEV), &copy).unwrap_err().to_string();
        assert!(refused.contains(PROD) && refused.contains(DEV), "{refused}");
        for own in [PROD, DEV, LOCAL] {
            let refused = must_be_the_source(PROD, &here(own), &here(own)).unwrap_err().to_string();
            assert!(refused.contains("in itself"), "{refused}");
        }
        let nameless =
            Located::by(&client(), TableFacts::described("PetTracker", &TableDescription::builder().build()));
        assert!(must_be_the_source(PROD, &nameless, &copy).is_err(), "what says nothing of itself is another");
    }

    fn client() -> Client {
        Client::from_conf(aws_sdk_dynamodb::Config::builder().behavior_version_latest().build())
    }
}
