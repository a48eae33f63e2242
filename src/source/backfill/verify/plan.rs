//! What a comparison will read, before anything is read.

use std::{fmt, time::Duration};

use serde::Serialize;

use super::{Extent, rows::TOGETHER};
use crate::source::backfill::{Plan, TableFacts};

/// What a comparison of a replica will read, by what is known of the two tables: estimates, with those of
/// [the backfill](Plan) for what is scanned.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyPlan {
    /// The table.
    pub source: String,
    /// Its replica.
    pub target: String,
    /// How many items of the source are compared, about.
    pub items: u64,
    /// How many rows of the target are compared, about.
    pub rows: u64,
    /// The read units that the source gives, about.
    pub source_units: f64,
    /// The read units that the target gives, about.
    pub target_units: f64,
    /// What they cost on demand at list price, in US dollars, about.
    pub dollars: f64,
    /// How long it takes at least, in seconds, about.
    pub seconds: f64,
}

impl VerifyPlan {
    /// Estimates a comparison: `plans` are how the two tables are read through, and `rate` is what both give a second at most.
    pub fn of(tables: [&TableFacts; 2], plans: [&Plan; 2], extent: Extent, rate: Option<f64>) -> Self {
        let [source, target] = tables;
        let count = |table: &TableFacts| match extent {
            Extent::Full => table.items,
            Extent::Sample(rows) => rows.min(table.items),
        };
        let [items, rows] = tables.map(count);
        // What one table shows on its pages, the other is asked for by key: consistently, and each row by itself.
        let by_key = |table: &TableFacts, keys: u64| keys as f64 * row_units(table);
        let pages = |plan: &Plan, table: &TableFacts, rows: u64| match extent {
            Extent::Full => plan.units,
            Extent::Sample(_) => (rows as f64 * row_units(table) / 2.0).max(rows.div_ceil(TOGETHER) as f64 / 2.0),
        };
        let source_units = pages(plans[0], source, items) + by_key(source, rows);
        let target_units = pages(plans[1], target, rows) + by_key(target, items);
        let units = source_units + target_units;
        let dollars_a_unit = Plan::dollars(1.0);
        let seconds = rate.map_or(plans[0].seconds + plans[1].seconds, |rate| units / rate);
        let (source, target) = (source.name.clone(), target.name.clone());
        Self { source, target, items, rows, source_units, target_units, dollars: units * dollars_a_unit, seconds }
    }
}

/// The read units of one row by its key, consistently.
fn row_units(table: &TableFacts) -> f64 {
    let size = table.bytes as f64 / table.items.max(1) as f64;
    (size / 4096.0).ceil().max(1.0)
}

/// For people.
impl fmt::Display for VerifyPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, target, items, rows, source_units, target_units, dollars, seconds } = self;
        let time = humantime::format_duration(Duration::from_secs(seconds.ceil() as u64));
        writeln!(f, "source     {source}: about {items} items, {source_units:.0} read units")?;
        writeln!(f, "target     {target}: about {rows} rows, {target_units:.0} read units")?;
        writeln!(f, "cost       about {dollars:.2} US dollars on demand at list price")?;
        writeln!(f, "time       about {time}")
    }
}
