//! What an effect costs, in requests and instructions per change: by our handlers, and by one SDK call for each record.
//!
//! AWS takes everything at once and does nothing, so what is counted is the work of reading, deciding, writing requests and
//! signing them. The search server is the double, on a thread of its own, whose instructions do not count.
//!
//! `cargo bench -p anabranch --features sns,search,testing --bench requests` fails if a handler takes more requests than its goal
//! allows, or more instructions than the loop; `-- --report` only prints.

#[path = "support/callgrind.rs"]
mod callgrind;
#[path = "support/effects.rs"]
mod effects;
#[path = "support/null.rs"]
mod null;

use std::{process::ExitCode, sync::Arc};

use anabranch::{sink::index::OpenSearch, testing::opensearch::OpenSearchDouble};
use effects::{Effect, Sinks};
use null::Asked;

/// Changes in a batch.
const CHANGES: usize = 1_000;
const OURS: &str = "ours";
const THEIRS: &str = "theirs";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, effect, whose] = arguments.as_slice()
        && flag == callgrind::ROW
    {
        let effect = Effect::ALL.into_iter().find(|one| one.name() == effect).expect("an effect");
        rows::run(effect, whose);
        return ExitCode::SUCCESS;
    }
    let report_only = arguments.iter().any(|argument| argument == "--report");
    println!("{CHANGES} changes; instructions and requests per change\n");
    let missed = Effect::ALL.into_iter().filter(|effect| !judge(*effect)).count();
    if missed > 0 && !report_only { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Whether the effect takes as few requests as its goal says, and no more instructions than the loop.
fn judge(effect: Effect) -> bool {
    let ([ours, theirs], [few, many]) = (
        [OURS, THEIRS].map(|whose| callgrind::count(effect.name(), whose).instructions),
        [OURS, THEIRS].map(|whose| rows::run(effect, whose)),
    );
    let (instructions, requests) = (ours as f64 / theirs as f64, many as f64 / few as f64);
    let holds = requests >= effect.goal() as f64 && instructions <= 1.0;
    println!(
        "{} {:<8} {:>8} instructions, {instructions:.3} of the loop's {:>8}; {:.4} requests, {requests:.1} x fewer than {:.0} (goal {} x)",
        if holds { "reached" } else { "MISSED " },
        effect.name(),
        ours / CHANGES as u64,
        theirs / CHANGES as u64,
        few as f64 / CHANGES as f64,
        many as f64 / CHANGES as f64,
        effect.goal(),
    );
    holds
}

mod rows {
    use super::*;

    /// Runs one row, and answers with how many requests it took.
    pub(super) fn run(effect: Effect, whose: &str) -> usize {
        let (asked, server) = (Asked::default(), Server::start());
        let batch = effect.batch(CHANGES);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let sinks = Sinks {
            dynamodb: aws_sdk_dynamodb::Client::new(&asked.config()),
            sns: aws_sdk_sns::Client::new(&asked.config()),
            search: Arc::new(OpenSearch::at(server.double.url()).expect("a URL")),
        };
        measured(|| match whose {
            OURS => runtime.block_on(effect.ours(&sinks, batch, CHANGES)),
            _ => runtime.block_on(effect.theirs(&sinks, &batch)),
        });
        asked.requests() + server.double.seen().len()
    }

    /// The function whose instructions are counted.
    #[inline(never)]
    fn measured<R>(work: impl FnOnce() -> R) -> R {
        std::hint::black_box(work())
    }
}

/// The double of a search server on a thread of its own.
struct Server {
    double: OpenSearchDouble,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let double = runtime.block_on(OpenSearchDouble::start()).expect("a free port");
        Self { double, _runtime: runtime }
    }
}
