//! What a backfill from exports will do.

use std::{
    fmt,
    num::NonZeroU32,
    time::{Duration, SystemTime},
};

use anabranch::{
    record::Timestamp,
    source::export::{Bridge, Export, ExportHistory, Kind},
};
use serde::Serialize;

use super::Args;
use crate::{BoxError, location::Location};

/// A stream keeps a record for so long.
const RETENTION: Duration = Duration::from_secs(24 * 3600);
const WORKERS: u32 = 4;
const LOCAL_ACCOUNT: &str = ":000000000000:";

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

/// Whether what is told apart are tables of AWS: an emulator gives all of them the same account.
fn is_another(own: &str, exported: &str) -> bool {
    own != exported && !own.contains(LOCAL_ACCOUNT)
}

/// Rows that are written are looked up in the table whose name the exports carry: it has to be that table.
pub(super) fn must_be_the_source(exported: &str, own: &str, target: Option<&str>) -> Result<(), BoxError> {
    if target == Some(own) {
        return Err(format!(
            "the rows of {own} would be looked up in itself: for a copy elsewhere say --to-region, or keep --tombstones"
        )
        .into());
    }
    if is_another(own, exported) {
        return Err(format!(
            "the exports are of {exported}, and the table of that name here is {own}: rows would be looked up in the wrong one, and \
             taken back; use the credentials and the region of the exported table, or keep --tombstones"
        )
        .into());
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
    use super::*;

    const PROD: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/PetTracker";
    const DEV: &str = "arn:aws:dynamodb:eu-west-1:210987654321:table/PetTracker";
    const LOCAL: &str = "arn:aws:dynamodb:local:000000000000:table/PetTracker";

    #[test]
    fn rows_are_looked_up_in_the_table_that_was_exported_and_in_no_other() {
        let copy = Some("arn:aws:dynamodb:eu-west-1:123456789012:table/Copy");
        assert!(must_be_the_source(PROD, PROD, copy).is_ok());
        assert!(must_be_the_source(PROD, LOCAL, copy).is_ok(), "whose it is nobody can tell");
        let refused = must_be_the_source(PROD, DEV, copy).unwrap_err().to_string();
        assert!(refused.contains(PROD) && refused.contains(DEV), "{refused}");
        for own in [PROD, DEV, LOCAL] {
            let refused = must_be_the_source(PROD, own, Some(own)).unwrap_err().to_string();
            assert!(refused.contains("in itself"), "{refused}");
        }
    }
}
