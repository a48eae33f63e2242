//! What a batch costs, in time: for orientation. Seconds vary with the machine; see `instructions` for the truth.

#[path = "support/batches.rs"]
mod batches;
#[path = "support/rows.rs"]
mod rows;
#[path = "support/types.rs"]
mod types;

use anabranch::handler::Context;
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn batches(criterion: &mut Criterion) {
    let all = [
        ("A", batches::pets(1_000_000)),
        ("M", batches::mixed(1_000_000)),
        ("K", batches::keys_only(2_000)),
        ("C", batches::binary(1_000_000)),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    for (name, batch) in all {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(batch.body.len() as u64)).sample_size(20);
        group.bench_function("ignored_any", |bencher| {
            bencher.iter(|| serde_json::from_slice::<serde::de::IgnoredAny>(&batch.body).expect("JSON"));
        });
        group.bench_function("today", |bencher| bencher.iter(|| rows::run_today(name, &batch.body)));
        let body = Bytes::from(batch.body);
        for row in ["owned", "borrowed", "filtered"] {
            let dispatcher = rows::dispatcher(row, name);
            let context = Context::default();
            group.bench_with_input(BenchmarkId::from_parameter(row), &body, |bencher, body| {
                bencher.iter(|| runtime.block_on(dispatcher.dispatch(body.clone(), &context)).expect("a stream event"));
            });
        }
        group.finish();
    }
}

criterion_group!(time, batches);
criterion_main!(time);
