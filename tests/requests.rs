//! How many requests our handlers take for a batch, against one SDK call for each record.

#[path = "../benches/support/effects.rs"]
mod effects;
#[path = "../benches/support/null.rs"]
mod null;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use anabranch::{
    sink::index::OpenSearch,
    testing::{
        embedded::{Embedded, EmbeddedError},
        opensearch::OpenSearchDouble,
    },
};
use aws_sdk_dynamodb::{
    Client, Config,
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef},
    error::BoxError,
};
use effects::{Effect, Sinks, TABLE};
use null::Asked;

/// Requests over a null AWS, and to the double of a search server.
async fn over_null(effect: Effect, changes: usize, ours: bool) -> usize {
    let (asked, double) = (Asked::watching(), OpenSearchDouble::start().await.expect("a free port"));
    run(effect, changes, ours, &sinks(Client::new(&asked.config()), &asked, &double)).await;
    assert_eq!(asked.beside(), 0, "{}: never two requests of one row at a time", effect.name());
    asked.requests() + double.seen().len()
}

fn sinks(dynamodb: Client, asked: &Asked, double: &OpenSearchDouble) -> Sinks {
    let search = Arc::new(OpenSearch::at(double.url()).expect("a URL"));
    Sinks { dynamodb, sns: aws_sdk_sns::Client::new(&asked.config()), search }
}

async fn run(effect: Effect, changes: usize, ours: bool, sinks: &Sinks) {
    let batch = effect.batch(changes);
    match ours {
        true => effect.ours(sinks, batch, changes).await,
        false => effect.theirs(sinks, &batch).await,
    }
}

fn compare(what: &str, effect: Effect, ours: usize, theirs: usize) {
    let (name, times) = (effect.name(), theirs as f64 / ours as f64);
    println!("{what:>8} {name:>8}: {ours:>6} requests, one by one {theirs:>6}: {times:.1} x");
    assert!(ours * effect.goal() <= theirs, "{name}: {ours} against {theirs}");
}

#[tokio::test]
async fn a_full_batch_takes_a_fraction_of_the_requests() {
    for effect in Effect::ALL {
        // As many as Lambda delivers at most, where it matters; a loop takes for 200 changes a fiftieth of what it takes for 10,000.
        let changes = if effect == Effect::View { 10_000 } else { 2_000 };
        let ours = over_null(effect, changes, true).await;
        let theirs = over_null(effect, 200, false).await * changes / 200;
        compare("null", effect, ours, theirs);
    }
}

/// Counts what is sent, repetitions as well.
#[derive(Debug, Clone, Default)]
struct Sent(Arc<AtomicUsize>);

impl Intercept for Sent {
    fn name(&self) -> &'static str {
        "sent"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// Requests to the embedded DynamoDB.
async fn over_embedded(effect: Effect, changes: usize, ours: bool) -> Result<usize, EmbeddedError> {
    let embedded = Embedded::start().await?;
    match effect {
        Effect::Once => embedded.create_ledger(TABLE).await?,
        _ => _ = embedded.create_table(TABLE, None).await?,
    }
    let (sent, asked) = (Sent::default(), Asked::default());
    let config = Config::from(embedded.sdk_config()).to_builder().interceptor(sent.clone()).build();
    let double = OpenSearchDouble::start().await.expect("a free port");
    run(effect, changes, ours, &sinks(Client::from_conf(config), &asked, &double)).await;
    embedded.stop().await?;
    Ok(sent.0.load(Relaxed) + asked.requests())
}

#[tokio::test]
async fn the_embedded_tables_are_asked_as_seldom() -> Result<(), EmbeddedError> {
    for effect in [Effect::Guarded, Effect::Plain, Effect::View, Effect::Once] {
        let ours = over_embedded(effect, 1_000, true).await?;
        let theirs = over_embedded(effect, 100, false).await? * 10;
        compare("embedded", effect, ours, theirs);
    }
    Ok(())
}
