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
    /// Looks for the exports, and puts them in order.
    pub(super) async fn of(args: &Args) -> Result<(Self, Bridge), BoxError> {
        let limit = args.rows_per_second;
        if let Some(limit) = limit.filter(|limit| !(*limit > 0.0 && limit.is_finite())) {
            return Err(format!("the number of rows a second is {limit}, and has to be more than 0").into());
        }
        let bridge = Bridge::newest(found(args).await?)?;
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
    let (Kind::Full { as_of: end } | Kind::Incremental { until: end, .. }) = first.kind();
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
async fn found(args: &Args) -> Result<Vec<Export>, BoxError> {
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

impl Planned {
    fn of(export: &Export) -> Self {
        let (full, until) = match export.kind() {
            Kind::Full { as_of } => (true, as_of),
            Kind::Incremental { until, .. } => (false, until),
        };
        Self {
            id: export.id().to_owned(),
            full,
            until: until.to_string(),
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
