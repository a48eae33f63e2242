//! What a comparison will read, before anything is read.

use std::{fmt, time::Duration};

use serde::Serialize;

use super::{Extent, rows::TOGETHER};
use crate::source::backfill::{Plan, TableFacts, plan::WORKER_RATE};

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
        let seconds = units / rate.unwrap_or(f64::from(plans[0].workers) * WORKER_RATE);
        let (source, target) = (source.name.clone(), target.name.clone());
        Self { source, target, items, rows, source_units, target_units, dollars: Plan::dollars(units), seconds }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::backfill::Wish;

    fn facts(items: u64, bytes: u64) -> TableFacts {
        let (stream, provisioned) = (Some("NEW_IMAGE".to_owned()), None);
        TableFacts {
            name: "T".into(),
            arn: None,
            keys: Vec::new(),
            items,
            bytes,
            provisioned,
            stream,
            expiry: None,
            active: true,
        }
    }

    fn plan(extent: Extent, rate: Option<f64>) -> VerifyPlan {
        // Items of 2 KB, rows of 6 KB.
        let (source, target) = (facts(1_000_000, 2_048_000_000), facts(1_000_000, 6_144_000_000));
        let plans = [&source, &target].map(|facts| Plan::of(facts, Wish::default()).unwrap());
        VerifyPlan::of([&source, &target], [&plans[0], &plans[1]], extent, rate)
    }

    #[test]
    fn pages_cost_half_and_keys_whole_units() {
        let whole = plan(Extent::Full, Some(1_000.0));
        assert_eq!((whole.source_units, whole.target_units), (250_000.0 + 1_000_000.0, 750_000.0 + 2_000_000.0));
        assert_eq!((whole.seconds, whole.dollars), (4_000.0, 0.5));
        assert!(whole.to_string().contains("T: about 1000000 items, 1250000 read units"), "{whole}");
    }

    #[test]
    fn a_sample_costs_by_its_rows() {
        let sample = plan(Extent::Sample(1_000), None);
        assert_eq!((sample.items, sample.rows), (1_000, 1_000));
        assert_eq!((sample.source_units, sample.target_units), (500.0 + 1_000.0, 1_000.0 + 2_000.0));
        assert!(sample.seconds < 1.0);
        assert_eq!(plan(Extent::Sample(u64::MAX), None).items, 1_000_000, "no more than there are");
    }
}
