//! What reading an export costs, in instructions: against plain `gunzip` to nothing, and against the decompression of which
//! reading itself consists, which is the least that it can be.
//!
//! Counted as in `instructions.rs`. Reading means all of it: checksum, lines, checks, keys, and events that the dispatcher
//! takes. Megabytes of JSON a second are printed beside, for one core of this machine in its present mood.
//!
//! `cargo bench -p anabranch --features export --bench export` fails if a ratio exceeds its bound; `-- --report` only prints.

#[path = "support/batches.rs"]
mod batches;
#[path = "support/callgrind.rs"]
mod callgrind;
#[path = "support/export_rows.rs"]
mod rows;

use std::{io::Write, process::ExitCode};

use rows::Exported;

/// What reading is to cost of `gunzip`.
const AIM: f64 = 1.5;

/// An export, and what the ratios must not exceed: of `gunzip`, and of the decompression within. They keep what has been
/// reached and only ever go down.
struct Kind {
    name: &'static str,
    of_gunzip: f64,
    of_inflate: f64,
}

/// The generated items repeat themselves so much that a byte of theirs costs next to nothing to decompress; `varied` ones have
/// a text of chance besides, and are compressed to a sixth, as tables are.
const KINDS: [Kind; 3] = [
    Kind { name: "full", of_gunzip: 1.5, of_inflate: 2.5 },
    Kind { name: "incremental", of_gunzip: 1.5, of_inflate: 2.95 },
    Kind { name: "varied", of_gunzip: 1.5, of_inflate: 1.82 },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, kind, row] = arguments.as_slice()
        && flag == callgrind::ROW
    {
        rows::run(row, &Exported::make(kind));
        return ExitCode::SUCCESS;
    }
    let report_only = arguments.iter().any(|argument| argument == "--report");
    let missed = KINDS.iter().filter(|kind| !judge(kind)).count();
    if missed > 0 && !report_only { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Whether the bounds hold.
fn judge(kind: &Kind) -> bool {
    let exported = Exported::make(kind.name);
    println!(
        "\n{}: {} items, {} bytes of JSON, {} compressed",
        kind.name,
        exported.items,
        exported.text,
        exported.gzip.len()
    );
    let per_byte = |instructions: u64| instructions as f64 / exported.text as f64;
    let [inflate, read] = ["inflate", "read"].map(|row| {
        let cost = per_byte(callgrind::count(kind.name, row).instructions);
        println!("  {row:<8} {cost:>6.2} instructions per byte   {:>6.0} MB/s", speed(row, &exported));
        cost
    });
    let gunzip = per_byte(gunzip(&exported));
    println!("  gunzip   {gunzip:>6.2} instructions per byte");
    // All are judged, even if the first is missed.
    let held = [
        verdict(kind.name, "gunzip", read / gunzip, AIM, kind.of_gunzip),
        verdict(kind.name, "decompression", read / inflate, kind.of_inflate, kind.of_inflate),
    ];
    held == [true; 2]
}

fn verdict(kind: &str, of: &str, ratio: f64, aim: f64, bound: f64) -> bool {
    let mark = match ratio {
        ratio if ratio <= aim => "reached",
        ratio if ratio <= bound => "not yet",
        _ => "WORSE  ",
    };
    println!("{mark} {kind} read {ratio:.3} of {of} (aim {aim:.3}, bound {bound:.3})");
    ratio <= bound
}

/// What the program costs that people pipe an export through.
fn gunzip(exported: &Exported) -> u64 {
    let mut file = tempfile::Builder::new().suffix(".gz").tempfile().expect("a file");
    file.write_all(&exported.gzip).expect("room for the file");
    callgrind::count_program("gzip", &["-dc", &file.path().to_string_lossy()])
}

fn speed(row: &str, exported: &Exported) -> f64 {
    let best = (0..9).map(|_| rows::run(row, exported).as_secs_f64());
    exported.text as f64 / 1e6 / best.fold(f64::INFINITY, f64::min)
}
