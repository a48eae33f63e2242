//! What a backfill reads besides the history: the items of the rows that it writes, and at the end the replica.

use std::{fmt, time::Duration};

use anabranch::source::backfill::{Plan, PlanError, TableFacts};
use serde::Serialize;

use super::Args;

/// A consistent look at an item is a read unit for so much of it.
const READ_UNIT: u64 = 4096;

/// Nothing of it with tombstones.
#[derive(Debug, Serialize)]
pub(super) struct Besides {
    /// The read units of the table that looks at the items of written rows take, about.
    looks: Option<f64>,
    sweep: Option<SweepPlan>,
}

#[derive(Debug, Serialize)]
struct SweepPlan {
    table: String,
    /// How many rows the replica has by then, about.
    rows: u64,
    /// The read units of the replica, about.
    units: f64,
    /// The read units of the table for the items of its rows, at most.
    looks: f64,
    /// What both cost on demand at list price, in US dollars.
    dollars: f64,
    /// How long it takes at least.
    seconds: f64,
}

impl Besides {
    /// Beside so many items of so many bytes, which the replica has besides what it has now, at most.
    ///
    /// # Errors
    /// The replica cannot be looked through.
    pub(super) fn of(args: &Args, replica: &TableFacts, (items, bytes): (u64, u64)) -> Result<Self, PlanError> {
        let mut then = replica.clone();
        (then.items, then.bytes) = (replica.items.max(items), replica.bytes.max(bytes));
        let sweep = args.sweeps().then(|| SweepPlan::of(&then, args)).transpose()?;
        Ok(Self { looks: args.tombstones.is_none().then(|| looks(items, bytes)), sweep })
    }
}

impl SweepPlan {
    fn of(replica: &TableFacts, args: &Args) -> Result<Self, PlanError> {
        let Plan { table, items: rows, units, seconds, .. } = Plan::of_sweep(replica, args.wish())?;
        let looks = looks(rows, replica.bytes);
        Ok(Self { table, rows, units, looks, dollars: Plan::dollars(units + looks), seconds })
    }
}

/// A look at each of so many items.
fn looks(items: u64, bytes: u64) -> f64 {
    let each = bytes.checked_div(items).unwrap_or_default().div_ceil(READ_UNIT).max(1);
    items as f64 * each as f64
}

/// For people.
impl fmt::Display for Besides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(looks) = self.looks {
            let dollars = Plan::dollars(looks);
            write!(
                f,
                "looks      about {looks:.0} units, {dollars:.2} US dollars: at the item of each row that is written; "
            )?;
            writeln!(f, "none with --tombstones")?;
        }
        let Some(SweepPlan { table, units, looks, dollars, seconds, .. }) = &self.sweep else { return Ok(()) };
        let time = humantime::format_duration(Duration::from_secs(seconds.ceil() as u64));
        write!(
            f,
            "sweep      about {units:.0} units of {table} at the end, up to {looks:.0} for looks at the items of its rows: "
        )?;
        writeln!(f, "{dollars:.2} US dollars, {time} more; none with --no-sweep")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_looked_at_by_units_of_4_kb() {
        for (items, bytes, units) in [(0, 0, 0.0), (10, 0, 10.0), (10, 40_960, 10.0), (10, 40_970, 20.0), (0, 10, 0.0)]
        {
            assert_eq!(looks(items, bytes), units, "{items} {bytes}");
        }
    }

    #[test]
    fn people_read_what_is_read_and_what_leaves_it_out() {
        let sweep = SweepPlan {
            table: "Copy".into(),
            rows: 1_000_000,
            units: 500_000.0,
            looks: 1_000_000.0,
            dollars: 0.1875,
            seconds: 59.2,
        };
        let text = Besides { looks: Some(1_200_000.0), sweep: Some(sweep) }.to_string();
        assert_eq!(
            text,
            "looks      about 1200000 units, 0.15 US dollars: at the item of each row that is written; none with --tombstones\n\
             sweep      about 500000 units of Copy at the end, up to 1000000 for looks at the items of its rows: 0.19 US dollars, \
             1m more; none with --no-sweep\n"
        );
        assert_eq!(Besides { looks: None, sweep: None }.to_string(), "");
    }
}
