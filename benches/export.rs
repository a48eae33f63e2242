//! What reading an export costs, in instructions: against decompressing it to nothing, which is the least that any reader does.
//!
//! Counted as in `instructions.rs`. Reading means all of it: checksum, lines, checks, keys, and events that the dispatcher
//! takes. Megabytes a second are printed beside, for one core of this machine in its present mood.
//!
//! `cargo bench -p anabranch --features export --bench export` fails if the ratio exceeds its bound; `-- --report` only prints.

#[path = "support/batches.rs"]
mod batches;
#[path = "support/callgrind.rs"]
mod callgrind;
#[path = "support/export_rows.rs"]
mod rows;

use std::{process::ExitCode, time::Instant};

use rows::Exported;

/// What the ratio is to be.
const AIM: f64 = 1.5;
/// What an export holds, and what the ratio must not exceed: it keeps what has been reached and only ever goes down.
///
/// The generated items repeat themselves so much that a byte of theirs costs next to nothing to decompress; `varied` ones have
/// a text of chance besides, and are compressed to a sixth, as tables are.
const KINDS: [(&str, f64); 3] = [("full", 2.8), ("incremental", 2.8), ("varied", 2.1)];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, kind, row] = arguments.as_slice()
        && flag == callgrind::ROW
    {
        rows::run(row, &Exported::make(kind));
        return ExitCode::SUCCESS;
    }
    let report_only = arguments.iter().any(|argument| argument == "--report");
    let missed = KINDS.iter().filter(|(kind, bound)| !judge(kind, *bound)).count();
    if missed > 0 && !report_only { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Whether the bound holds.
fn judge(kind: &str, bound: f64) -> bool {
    let exported = Exported::make(kind);
    println!("\n{kind}: {} items, {} bytes of JSON, {} compressed", exported.items, exported.text, exported.gzip.len());
    let [gunzip, read] = ["gunzip", "read"].map(|row| {
        let instructions = callgrind::count(kind, row).instructions;
        let per_byte = instructions as f64 / exported.text as f64;
        println!("  {row:<8} {per_byte:>6.2} instructions per byte   {:>6.0} MB/s", speed(row, &exported));
        instructions
    });
    let ratio = read as f64 / gunzip as f64;
    let mark = match ratio {
        ratio if ratio <= AIM => "reached",
        ratio if ratio <= bound => "not yet",
        _ => "WORSE  ",
    };
    println!("{mark} {kind} read {ratio:.3} of gunzip (aim {AIM:.3}, bound {bound:.3})");
    ratio <= bound
}

fn speed(row: &str, exported: &Exported) -> f64 {
    let best = (0..5).map(|_| {
        let start = Instant::now();
        rows::run(row, exported);
        start.elapsed().as_secs_f64()
    });
    exported.text as f64 / 1e6 / best.fold(f64::INFINITY, f64::min)
}
