//! What a batch costs, in instructions: ours, what people write today, and not even looking.
//!
//! Seconds vary with the machine and its mood; instructions do not. Each row runs in a process of its own under
//! `valgrind --tool=callgrind`, which counts inside one function only, so that neither start-up nor the making of the
//! batch is in the number. Ratios are between rows of one run.
//!
//! `cargo bench --bench instructions` fails if a goal is missed; `-- --report` only prints.

#[path = "support/batches.rs"]
mod batches;
#[path = "support/callgrind.rs"]
mod callgrind;
#[path = "support/rows.rs"]
mod rows;
#[path = "support/types.rs"]
mod types;

use std::process::ExitCode;

use batches::Batch;
use callgrind::Row;

const BATCHES: [(&str, &str); 4] = [
    ("A", "6 MB of PetTracker records"),
    ("M", "the same, three entity types"),
    ("K", "10,000 records of keys only"),
    ("C", "items of 10 KB with binary"),
];

const ROWS: [&str; 5] = ["ignored_any", "today", "owned", "borrowed", "filtered"];

/// A bound on the ratio of two rows of a batch.
struct Goal {
    batches: &'static [&'static str],
    row: &'static str,
    of: &'static str,
    at_most: f64,
}

const GOALS: [Goal; 6] = [
    Goal { batches: &["A", "M", "K"], row: "owned", of: "today", at_most: 1.0 / 8.0 },
    Goal { batches: &["A", "M", "K"], row: "owned", of: "ignored_any", at_most: 0.85 },
    Goal { batches: &["A", "M", "K"], row: "borrowed", of: "today", at_most: 1.0 / 11.0 },
    Goal { batches: &["A", "M", "K"], row: "borrowed", of: "ignored_any", at_most: 0.65 },
    Goal { batches: &["C"], row: "owned", of: "today", at_most: 1.0 / 7.0 },
    Goal { batches: &["A", "M", "K", "C"], row: "filtered", of: "ignored_any", at_most: 0.15 },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, batch, row] = arguments.as_slice()
        && flag == callgrind::ROW
    {
        rows::run(row, batch, make(batch));
        return ExitCode::SUCCESS;
    }
    let report_only = arguments.iter().any(|argument| argument == "--report");
    let rows: Vec<Row> = BATCHES.iter().flat_map(|(batch, _)| ROWS.map(|row| callgrind::count(batch, row))).collect();
    print(&rows);
    let goals = GOALS.iter().flat_map(|goal| goal.batches.iter().map(move |batch| (goal, *batch)));
    let missed = goals.filter(|(goal, batch)| !judge(&rows, goal, batch)).count();
    if missed > 0 && !report_only { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn make(batch: &str) -> Batch {
    match batch {
        "A" => batches::pets(6_000_000),
        "M" => batches::mixed(6_000_000),
        "K" => batches::keys_only(10_000),
        "C" => batches::binary(6_000_000),
        other => panic!("no batch {other}"),
    }
}

fn print(rows: &[Row]) {
    for (batch, what) in BATCHES {
        let Batch { body, records } = make(batch);
        println!("\n{batch}: {what} ({} bytes, {records} records)", body.len());
        for row in rows.iter().filter(|row| row.batch == batch) {
            let per_byte = row.instructions as f64 / body.len() as f64;
            let ratio = |of| row.instructions as f64 / find(rows, batch, of) as f64;
            let (today, ignored) = (1.0 / ratio("today"), ratio("ignored_any"));
            println!(
                "  {:<12} {per_byte:>8.2} per byte   {today:>6.1}x fewer than today   {ignored:>5.2}x ignored_any",
                row.row
            );
        }
    }
    println!();
}

fn judge(rows: &[Row], goal: &Goal, batch: &str) -> bool {
    let ratio = find(rows, batch, goal.row) as f64 / find(rows, batch, goal.of) as f64;
    let held = ratio <= goal.at_most;
    let mark = if held { "held  " } else { "MISSED" };
    println!("{mark} {batch} {:<8} {ratio:.3} of {:<11} (goal {:.3})", goal.row, goal.of, goal.at_most);
    held
}

fn find(rows: &[Row], batch: &str, row: &str) -> u64 {
    rows.iter().find(|it| it.batch == batch && it.row == row).expect("every row of every batch is counted").instructions
}
