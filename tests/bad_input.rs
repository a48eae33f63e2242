//! What is set up wrongly: every kind says what and what to do, tries again, and has lost nothing when it is mended.

#[path = "../benches/support/effects.rs"]
mod effects;
#[path = "../benches/support/null.rs"]
mod null;

use std::sync::Arc;

use anabranch::{
    dispatch::{BatchReport, Cause, Dispatcher},
    handler::Context,
    sink::{
        dead_letter,
        index::{Document, Index, OpenSearch},
    },
    testing::opensearch::{Asked as AskedOfSearch, Fault, OpenSearchDouble},
};
use effects::{Effect, Sinks, TOPIC};
use null::Asked;

const CHANGES: usize = 4;

struct Stage {
    dynamodb: Asked,
    sns: Asked,
    search: OpenSearchDouble,
    sinks: Sinks,
}

impl Stage {
    async fn new() -> Self {
        let (dynamodb, sns) = (Asked::default(), Asked::default());
        let search = OpenSearchDouble::start().await.expect("a free port");
        let sinks = Sinks {
            dynamodb: aws_sdk_dynamodb::Client::new(&dynamodb.config()),
            sns: aws_sdk_sns::Client::new(&sns.config()),
            search: Arc::new(OpenSearch::at(search.url()).expect("a URL")),
        };
        Self { dynamodb, sns, search, sinks }
    }

    /// Delivers the same batch again and again; there is a dead letter sink, so that a reject would be seen as one.
    async fn deliver(&self, effect: Effect) -> BatchReport {
        let router = effect.router(&self.sinks);
        let dispatcher = Dispatcher::with_dead_letters(router, dead_letter::Memory::default());
        dispatcher.dispatch(effect.batch(CHANGES), &Context::default()).await.expect("a stream event")
    }

    /// The first delivery is retried from its first record on, for a reason that says all of this.
    async fn is_retried(&self, effect: Effect, says: &[&str]) {
        let report = self.deliver(effect).await;
        let unfinished = report.unfinished.expect("a record that is not done with");
        let reason = unfinished.cause.to_string();
        assert!(matches!(unfinished.cause, Cause::Retry { .. }), "{effect:?}: {reason}");
        assert_eq!((unfinished.position, report.applied, report.dead_lettered), (0, 0, 0), "{effect:?}");
        assert!(says.iter().all(|text| reason.contains(text)), "{effect:?}: {reason}");
        assert!(!reason.contains("PET#"), "{effect:?}: a key is shown: {reason}");
    }

    async fn is_whole(&self, effect: Effect) {
        let report = self.deliver(effect).await;
        assert_eq!((report.applied, report.unfinished), (CHANGES, None), "{effect:?}");
    }
}

fn json(code: &str) -> Option<(u16, String)> {
    Some((400, format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"told to refuse"}}"#)))
}

fn xml(status: u16, code: &str) -> Option<(u16, String)> {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>told to refuse</Message></Error>");
    Some((status, format!("<ErrorResponse>{error}<RequestId>R</RequestId></ErrorResponse>")))
}

#[tokio::test]
async fn a_table_that_is_missing_or_denied_is_a_retry() {
    for effect in [Effect::Guarded, Effect::Plain, Effect::View] {
        let stage = Stage::new().await;
        stage.dynamodb.refuse(json("ResourceNotFoundException"));
        stage.is_retried(effect, &["table `Target` does not exist; create it", "told to refuse"]).await;
        stage.dynamodb.refuse(json("AccessDeniedException"));
        stage.is_retried(effect, &["access to table `Target` is denied; allow `dynamodb:PutItem`"]).await;
        stage.dynamodb.refuse(None);
        stage.is_whole(effect).await;
    }
}

#[tokio::test]
async fn a_topic_that_is_missing_or_denied_is_a_retry() {
    for effect in [Effect::Notify, Effect::Once] {
        let stage = Stage::new().await;
        stage.sns.refuse(xml(404, "NotFound"));
        stage.is_retried(effect, &[TOPIC, "does not exist; create it"]).await;
        stage.sns.refuse(xml(403, "AuthorizationError"));
        stage.is_retried(effect, &[TOPIC, "allow `sns:Publish`"]).await;
        stage.sns.refuse(None);
        stage.is_whole(effect).await;
    }
}

/// Nobody is told of anything that could not be claimed.
#[tokio::test]
async fn a_ledger_that_is_missing_or_denied_keeps_the_effect_from_happening() {
    let stage = Stage::new().await;
    stage.dynamodb.refuse(json("ResourceNotFoundException"));
    stage.is_retried(Effect::Once, &["ledger table `Target` does not exist; create it"]).await;
    stage.dynamodb.refuse(json("AccessDeniedException"));
    stage.is_retried(Effect::Once, &["ledger table `Target` is denied; allow `dynamodb:PutItem`"]).await;
    stage.dynamodb.refuse(json("ValidationException"));
    stage.is_retried(Effect::Once, &["table `Target` cannot be a ledger", "the partition key `id`, a string"]).await;
    assert_eq!(stage.sns.requests(), 0);
    stage.dynamodb.refuse(None);
    stage.is_whole(Effect::Once).await;
}

/// A table with other keys takes no row: no repetition can mend that, and the dead letters hold the records.
#[tokio::test]
async fn keys_of_another_name_are_rejected() {
    for effect in [Effect::Guarded, Effect::Plain, Effect::View] {
        let stage = Stage::new().await;
        stage.dynamodb.refuse(json("ValidationException"));
        let letters = Arc::new(dead_letter::Memory::default());
        let dispatcher = Dispatcher::with_dead_letters(effect.router(&stage.sinks), letters.clone());
        let report = dispatcher.dispatch(effect.batch(CHANGES), &Context::default()).await.expect("a stream event");
        assert_eq!((report.dead_lettered, report.unfinished), (CHANGES, None), "{effect:?}");
        let reasons: Vec<_> = letters.letters().into_iter().map(|letter| letter.reason).collect();
        assert!(
            reasons.iter().all(|reason| reason.contains("table `Target` refuses the row")),
            "{effect:?}: {reasons:?}"
        );
    }
}

#[tokio::test]
async fn a_search_server_that_denies_or_lacks_the_index_is_a_retry() {
    let stage = Stage::new().await;
    stage.search.set_faults(|asked| match asked {
        AskedOfSearch::Request { .. } => Fault::Status(403),
        AskedOfSearch::Item { .. } => Fault::None,
    });
    stage.is_retried(Effect::Search, &["denies access; check the credentials and allow bulk writes"]).await;
    stage.search.set_faults(|_| Fault::None);
    stage.search.forbid_new_indexes();
    stage.is_retried(Effect::Search, &["index `activities` does not exist", "create it"]).await;
    stage.sinks.search.create("activities", &Document::new()).await.expect("a new index");
    stage.is_whole(Effect::Search).await;
    assert_eq!(stage.search.documents("activities").len(), CHANGES);
}
