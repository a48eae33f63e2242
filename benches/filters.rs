//! What filter patterns cost, in instructions: ours, a generic matcher over records parsed to `serde_json::Value`, and `quamina`.
//!
//! Counted as in `instructions`. `cargo bench -p anabranch --bench filters` fails if ours takes more than the bound below, in parts
//! of what the generic matcher takes; `-- --report` only prints.

#[path = "support/batches.rs"]
mod batches;
#[path = "support/callgrind.rs"]
mod callgrind;
#[path = "../tests/support/generic_filter.rs"]
mod generic_filter;
#[path = "support/filter_rows.rs"]
mod rows;

use std::process::ExitCode;

use callgrind::ROW;

const ROWS: [&str; 3] = ["generic", "quamina", "ours"];

/// A fifth, and then what has been reached: the bound only ever goes down.
const AIM: f64 = 1.0 / 5.0;
const BOUND: f64 = 0.12;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, filter, row] = arguments.as_slice()
        && flag == ROW
    {
        rows::run(row, filter);
        return ExitCode::SUCCESS;
    }
    let missed = rows::FILTERS.iter().filter(|(filter, _)| !judge(filter)).count();
    let report_only = arguments.iter().any(|argument| argument == "--report");
    if missed > 0 && !report_only { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Counts the rows of a filter and says whether the bound holds.
fn judge(filter: &str) -> bool {
    let [generic, quamina, ours] = ROWS.map(|row| callgrind::count(filter, row).instructions as f64);
    let records = rows::records().len() as f64;
    let ratio = ours / generic;
    println!(
        "{filter:<8} per record: generic {:>7.0}, quamina {:>7.0}, ours {:>7.0} instructions; {ratio:.4} of generic (aim {AIM:.3}, bound {BOUND:.3})",
        generic / records,
        quamina / records,
        ours / records,
    );
    ratio <= BOUND
}
