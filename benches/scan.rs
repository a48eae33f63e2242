//! What a scan costs: ours, and what people write today.
//!
//! A server in another process answers with canned pages of 1 MB, so that only the client is measured. Instructions are counted by
//! valgrind, inside one function only; ratios are between rows of one run. Memory is the peak of a process of its own.
//!
//! `cargo bench -p anabranch --bench scan` fails if a ratio exceeds its bound; `-- --report` only prints. `-- --peers PYTHON DIRECTORY` also lets boto3
//! and the SDK for Node, which must be in that directory, scan the same pages, and compares processor time.

#[path = "support/batches.rs"]
mod batches;
#[path = "support/callgrind.rs"]
mod callgrind;
#[path = "support/null_server.rs"]
mod null_server;
#[path = "support/scan_rows.rs"]
mod scan_rows;
#[path = "support/types.rs"]
mod types;

use std::{
    path::Path,
    process::{Command, ExitCode},
    time::Duration,
};

use null_server::Canned;

/// The flag that asks this program for its peak memory over one scan.
const MEMORY: &str = "--memory";
/// The flag that asks this program for its processor time per item.
const TIME: &str = "--time";
/// The flag that names a Python with boto3 and a directory with the SDK for Node.
const PEERS: &str = "--peers";
/// A long copy is a `rep movsb` to glibc, and as many instructions as bytes to valgrind. Here a copy of every body is most of
/// what is compared, so it is made, and counted, by vectors.
const WHOLE_COPIES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=1073741824");
const PAGE: usize = 1_000_000;
const PAGES: usize = 8;

const ROWS: [&str; 4] = ["memory", "pages", "ours", "sdk"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [callgrind::ROW, port, row] => {
            let canned = canned();
            let items = scan_rows::run(row, port.parse().expect("a port"), &canned);
            assert_eq!(items, canned.items.records * canned.pages, "every item is read");
            ExitCode::SUCCESS
        }
        [MEMORY, port, workers] => {
            println!("{}", peak(port.parse().expect("a port"), workers.parse().expect("a number")));
            ExitCode::SUCCESS
        }
        [TIME, port, row] => {
            println!("{}", scan_rows::processor_time(row, port.parse().expect("a port"), &canned()));
            ExitCode::SUCCESS
        }
        [PEERS, python, node, ..] => peers(python, Path::new(node)),
        others => judge(others.contains(&"--report")),
    }
}

fn canned() -> Canned {
    Canned { items: batches::items(PAGE), pages: PAGES, latency: Duration::ZERO }
}

fn judge(report_only: bool) -> ExitCode {
    workers();
    let held = [instructions(), memory()];
    if report_only || held.iter().all(|held| *held) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn instructions() -> bool {
    let (port, items) = (null_server::serve(canned()), canned().items.records * PAGES);
    let counted = ROWS.map(|row| callgrind::count_in(&port.to_string(), row, &[WHOLE_COPIES]).instructions as f64);
    for (row, count) in ROWS.iter().zip(counted) {
        println!("{row:<8} {:>8.0} instructions per item", count / items as f64);
    }
    let [memory, _, ours, sdk] = counted;
    let fewer = bound("times fewer than the SDK's paginator and serde_dynamo", sdk / ours, |it| it >= 5.0);
    let near = bound("times decoding the same bodies from memory", ours / memory, |it| it <= 1.1);
    fewer && near
}

/// One segment is as long as each of eight, which have eight times the pages then. It is time, and so decides nothing; a unit
/// test does, on a paused clock.
fn workers() {
    let latency = Duration::from_millis(20);
    let port = null_server::serve(Canned { items: batches::items(10_000), pages: 50, latency });
    let (one, eight) = (scan_rows::time(port, 1), scan_rows::time(port, 8));
    let speed_up = 8.0 * one.as_secs_f64() / eight.as_secs_f64();
    println!(
        "        {speed_up:.2} times as fast with 8 segments as with 1, at 20 ms a page (7 and more, on an idle machine)"
    );
}

/// A million items each.
fn memory() -> bool {
    let items = batches::items(PAGE).records;
    let held = [(1, 5.0), (8, 40.0)].map(|(workers, most)| {
        let pages = 1_000_000 / items / workers;
        let port = null_server::serve(Canned { items: batches::items(PAGE), pages, latency: Duration::ZERO });
        let program = std::env::current_exe().expect("this program");
        let output =
            Command::new(program).args([MEMORY, &port.to_string(), &workers.to_string()]).output().expect("a run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let kilobytes: f64 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
        bound(&format!("MB above idle over a million items by {workers}"), kilobytes / 1024.0, |it| it <= most)
    });
    held == [true; 2]
}

/// Processor time per item, in processes of their own, which have scanned the same pages once before.
fn peers(python: &str, node: &Path) -> ExitCode {
    let port = null_server::serve(canned()).to_string();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/support");
    let script = node.join("scan_peer.js");
    std::fs::copy(here.join("scan_peer.js"), &script).expect("the directory of the SDK for Node can be written");
    let program = std::env::current_exe().expect("this program");
    let time = |mut command: Command| -> f64 {
        let output = command.arg(&port).output().expect("a program that starts");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number of nanoseconds")
    };
    let ours = |row: &str| {
        let output = Command::new(&program).args([TIME, &port, row]).output().expect("a run");
        String::from_utf8_lossy(&output.stdout).trim().parse::<f64>().expect("a number of nanoseconds")
    };
    let [mut boto3, mut javascript] = [Command::new(python), Command::new("node")];
    boto3.arg(here.join("scan_peer.py"));
    javascript.arg(script);
    let (us, sdk, boto3, javascript) = (ours("ours"), ours("sdk"), time(boto3), time(javascript));
    println!(
        "processor time per item: ours {us:.0} ns, SDK for Rust {sdk:.0} ns, boto3 {boto3:.0} ns, SDK for Node {javascript:.0} ns"
    );
    let held = [
        bound("times less processor time than the SDK for Rust and serde_dynamo", sdk / us, |it| it >= 5.0),
        bound("times less than boto3", boto3 / us, |it| it >= 30.0),
        bound("times less than the SDK for Node", javascript / us, |it| it >= 8.0),
    ];
    if held == [true; 3] { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn bound(what: &str, value: f64, holds: impl Fn(f64) -> bool) -> bool {
    println!("{} {value:.2} {what}", if holds(value) { "reached" } else { "MISSED " });
    holds(value)
}

/// The most memory a scan held, above what the process held before it, in KB.
fn peak(port: u16, workers: u32) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let client = scan_rows::client(port);
    runtime.block_on(async {
        _ = client.list_tables().send().await;
        let idle = status("VmRSS:");
        scan_rows::ours(&client, workers).await;
        status("VmHWM:") - idle
    })
}

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field of the kernel");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
