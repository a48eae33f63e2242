//! What a batch costs, in instructions: ours, what people write today, and not even looking.
//!
//! Seconds vary with the machine and its mood; instructions do not. Each row runs in a process of its own under
//! `valgrind --tool=callgrind`, which counts inside one function only, so that neither start-up nor the making of the
//! batch is in the number. Ratios are between rows of one run.
//!
//! `cargo bench -p anabranch --bench instructions` fails if a ratio exceeds its bound; `-- --report` only prints.

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

/// What the ratio of two rows of a batch is to be, and what it must not exceed.
///
/// Where we are not there yet, the bound keeps what has been reached: it only ever goes down.
struct Goal {
    batch: &'static str,
    row: &'static str,
    of: &'static str,
    aim: f64,
    bound: f64,
}

const fn goal(batch: &'static str, row: &'static str, of: &'static str, aim: f64, bound: f64) -> Goal {
    Goal { batch, row, of, aim, bound }
}

const GOALS: [Goal; 17] = [
    goal("A", "owned", "today", 1.0 / 8.0, 1.0 / 8.0),
    goal("M", "owned", "today", 1.0 / 8.0, 0.130),
    goal("K", "owned", "today", 1.0 / 8.0, 1.0 / 8.0),
    goal("C", "owned", "today", 1.0 / 7.0, 1.0 / 7.0),
    goal("A", "owned", "ignored_any", 0.85, 0.85),
    goal("M", "owned", "ignored_any", 0.85, 0.90),
    goal("K", "owned", "ignored_any", 0.85, 0.85),
    goal("A", "borrowed", "today", 1.0 / 11.0, 1.0 / 11.0),
    goal("M", "borrowed", "today", 1.0 / 11.0, 1.0 / 11.0),
    goal("K", "borrowed", "today", 1.0 / 11.0, 0.110),
    goal("A", "borrowed", "ignored_any", 0.65, 0.65),
    goal("M", "borrowed", "ignored_any", 0.65, 0.65),
    goal("K", "borrowed", "ignored_any", 0.65, 0.65),
    goal("A", "filtered", "ignored_any", 0.15, 0.185),
    goal("M", "filtered", "ignored_any", 0.15, 0.185),
    goal("K", "filtered", "ignored_any", 0.15, 0.37),
    goal("C", "filtered", "ignored_any", 0.15, 0.15),
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
    let missed = GOALS.iter().filter(|goal| !judge(&rows, goal)).count();
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

/// Whether the bound holds.
fn judge(rows: &[Row], Goal { batch, row, of, aim, bound }: &Goal) -> bool {
    let ratio = find(rows, batch, row) as f64 / find(rows, batch, of) as f64;
    let mark = match ratio {
        ratio if ratio <= *aim => "reached",
        ratio if ratio <= *bound => "not yet",
        _ => "WORSE  ",
    };
    println!("{mark} {batch} {row:<8} {ratio:.3} of {of:<11} (aim {aim:.3}, bound {bound:.3})");
    ratio <= *bound
}

fn find(rows: &[Row], batch: &str, row: &str) -> u64 {
    rows.iter().find(|it| it.batch == batch && it.row == row).expect("every row of every batch is counted").instructions
}
