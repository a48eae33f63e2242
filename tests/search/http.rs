//! Over HTTP, against the double.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anabranch::{
    dispatch::Dispatcher,
    handler::Context,
    record::NewAndOldImages,
    router::Router,
    search::{Search, all_attributes},
    sink::{
        conformance, dead_letter,
        index::{AwsService, Created, Document, DocumentId, Fields, Index, IndexError, OpenSearch, Operation},
        table::{item, text},
    },
    testing::opensearch::{Asked, Fault, OpenSearchDouble},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    play::{history, play, wanted},
    support::{Step, payload, record, seeds::each_history},
};

async fn double() -> (OpenSearchDouble, OpenSearch) {
    let double = OpenSearchDouble::start().await.expect("a free port");
    let client = OpenSearch::at(double.url()).expect("a URL");
    (double, client)
}

fn put(number: u8) -> Operation {
    let id = DocumentId::of(&item([("PK", text(number.to_string()))]));
    Operation::put("pets", id, "1", &json!({ "number": number }), &Fields::default()).expect("a document")
}

#[tokio::test]
async fn conforms() {
    let (_double, client) = double().await;
    conformance::index(&client).await;
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        5 => Just(Fault::None),
        1 => Just(Fault::Close),
        1 => Just(Fault::Lose),
        1 => prop_oneof![Just(429), Just(503), Just(403), Just(413), Just(502)].prop_map(Fault::Status),
    ]
}

fn item_fault() -> impl Strategy<Value = Fault> {
    let statuses = prop_oneof![Just(429), Just(503), Just(409), Just(403)];
    prop_oneof![4 => Just(Fault::None), 1 => statuses.prop_map(Fault::Status)]
}

fn held(double: &OpenSearchDouble) -> BTreeSet<(String, String, u64)> {
    let mut held = BTreeSet::new();
    for index in double.indexes() {
        for source in double.documents(&index).into_values().filter(|source| source.get("anabranchRemovedAt").is_none())
        {
            let key = source["key"].as_str().expect("a key").to_owned();
            held.insert((index.clone(), key, source["value"].as_u64().expect("a value")));
        }
    }
    held
}

#[test]
fn every_history_ends_with_the_indexes_as_the_table() {
    let faults = || proptest::collection::vec(fault(), 0..6);
    let items = || proptest::collection::vec(item_fault(), 0..8);
    each_history(
        150,
        || (history(), faults(), items()),
        |(history, faults, items)| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let (double, client) = double().await;
                let (mut faults, mut items) = (faults.into_iter(), items.into_iter());
                double.set_faults(move |asked| match asked {
                    Asked::Request { .. } => faults.next().unwrap_or_default(),
                    Asked::Item { .. } => items.next().unwrap_or_default(),
                });
                // A 413 for a single document is a reject, which without a dead letter sink is a retry.
                let beside = play(&history, Arc::new(client), Duration::from_secs(60)).await;
                prop_assert_eq!(beside, 0, "never two requests for one document");
                prop_assert_eq!(held(&double), wanted(&history));
                Ok(())
            })
        },
    );
}

#[tokio::test]
async fn a_lost_answer_is_stale_when_it_is_sent_again() {
    let (double, client) = double().await;
    let first = AtomicUsize::new(0);
    double.set_faults(move |asked| match asked {
        Asked::Request { .. } if first.fetch_add(1, Ordering::Relaxed) == 0 => Fault::Lose,
        _ => Fault::None,
    });
    assert!(matches!(client.bulk(&[put(1)]).await, Err(IndexError::Failed { .. })));
    let answers = client.bulk(&[put(1), put(2)]).await.expect("a bulk");
    assert_eq!(format!("{answers:?}"), "[Ok(Stale), Ok(Applied)]");
}

#[tokio::test]
async fn bodies_are_cut_and_a_smaller_limit_of_the_servers_halves_them() {
    let (double, client) = double().await;
    double.limit_bodies(20_000);
    let steps: Vec<_> = (0..200).map(|n| Step { item: n, value: Some(1) }).collect();
    let search = Search::new(client, "rows", all_attributes).request_bytes(60_000);
    let dispatcher = Dispatcher::new(Router::<NewAndOldImages>::new().every(search));
    let report = dispatcher.dispatch(payload(&steps, 0), &Context::default()).await.expect("a stream event");
    assert_eq!((report.applied, double.documents("rows").len()), (200, 200));
    let sizes: Vec<_> = double.seen().into_iter().map(|seen| seen.bytes).collect();
    assert!(sizes.iter().all(|bytes| *bytes <= 60_000), "{sizes:?}");
    assert!(sizes.len() < 40, "halves, not single documents: {sizes:?}");
}

#[tokio::test]
async fn a_full_window_is_one_request_per_5_megabytes_or_1000_documents() {
    let (double, client) = double().await;
    let steps: Vec<_> = (0..250).map(|n| Step { item: n, value: Some(1) }).collect();
    let dispatcher =
        Dispatcher::new(Router::<NewAndOldImages>::new().every(Search::new(client, "rows", all_attributes)));
    dispatcher.dispatch(payload(&steps, 0), &Context::default()).await.expect("a stream event");
    assert_eq!(double.seen().iter().map(|seen| (&*seen.method, &*seen.path)).collect::<Vec<_>>(), [("POST", "/_bulk")]);
}

/// A mapping refuses one document; what the server says quotes its value and its id, what we say does not.
#[tokio::test]
async fn a_refused_document_is_buried_with_the_field_and_without_the_value() {
    let (double, client) = double().await;
    let mapping = json!({"mappings": {"dynamic": "strict", "properties": {
        "PK": {"type": "keyword"}, "entityType": {"type": "keyword"}, "value": {"type": "long"}, "note": {"type": "double"}}}});
    let dead = Arc::new(dead_letter::Memory::default());
    let search = Search::new(client, "rows", all_attributes).creating(mapping);
    let dispatcher = Dispatcher::with_dead_letters(Router::<NewAndOldImages>::new().every(search), dead.clone());
    let change = |n: usize, name: &str| {
        let mut record = record(n, &Step { item: n as u8, value: Some(1) }, None);
        record["dynamodb"]["NewImage"][name] = json!({"S": "SECRET"});
        record["dynamodb"]["Keys"]["PK"] = json!({"S": format!("SECRET-{n}")});
        record
    };
    let fine = record(2, &Step { item: 2, value: Some(1) }, None);
    let batch = json!({"Records": [change(0, "note"), change(1, "surprise"), fine]}).to_string();
    let report = dispatcher.dispatch(batch, &Context::default()).await.expect("a stream event");
    assert_eq!((report.unfinished, report.dead_lettered, report.applied), (None, 2, 1));
    let reasons: Vec<_> = dead.letters().into_iter().map(|letter| letter.reason).collect();
    assert!(reasons[0].contains("mapper_parsing_exception") && reasons[0].contains("field `note` of type `double`"));
    assert!(reasons[1].contains("field `surprise` is not in the strict mapping"), "{reasons:?}");
    assert!(reasons.iter().all(|reason| !reason.contains("SECRET")), "{reasons:?}");
    assert_eq!(double.documents("rows").len(), 1);
}

#[tokio::test]
async fn a_wrong_setup_is_a_retry_that_names_the_remedy() {
    let (double, client) = double().await;
    double.forbid_new_indexes();
    let error = client.bulk(&[put(1)]).await.expect("an answer").remove(0).expect_err("no index");
    assert!(matches!(&error, IndexError::NoSuchIndex { .. }) && !error.is_reject());
    assert!(error.to_string().contains("index `pets` does not exist") && error.to_string().contains("create it"));
    let error = client.read("pets", put(1).id()).await.expect_err("no index");
    assert!(matches!(error, IndexError::NoSuchIndex { .. }), "{error:?}");
    let mut body = Document::new();
    Fields::default().map_in(&mut body);
    assert_eq!(client.create("pets", &body).await.expect("a new index"), Created::New);
    assert!(client.bulk(&[put(1)]).await.expect("an answer")[0].is_ok());

    double.require_authorization("Basic bmFtZTpzZWNyZXQ=");
    let error = client.bulk(&[put(2)]).await.expect_err("a stranger");
    assert!(matches!(&error, IndexError::Denied { .. }) && !error.is_reject());
    let known = client.basic_auth("name", "secret");
    assert!(known.bulk(&[put(2)]).await.is_ok());

    let url = double.url().to_owned();
    drop(double);
    let gone = OpenSearch::at(&url).expect("a URL");
    let mut error = gone.bulk(&[put(3)]).await;
    // The listener closes when the server's task has ended.
    while error.is_ok() {
        tokio::task::yield_now().await;
        error = gone.bulk(&[put(3)]).await;
    }
    assert!(matches!(error, Err(IndexError::Failed { .. })), "{error:?}");
}

#[tokio::test]
async fn requests_to_aws_are_signed() {
    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};

    let (double, client) = double().await;
    let bare = || SdkConfig::builder().behavior_version(BehaviorVersion::latest());
    let error = client.clone().aws(&bare().build(), AwsService::Managed).expect_err("no region");
    assert!(error.to_string().contains("AWS_REGION"));
    let region = || bare().region(Region::new("eu-central-1"));
    assert!(client.clone().aws(&region().build(), AwsService::Managed).is_err(), "no credentials");
    let credentials = Credentials::new("AKID", "secret", Some("token".into()), None, "test");
    let config = region().credentials_provider(SharedCredentialsProvider::new(credentials)).build();
    let client = client.aws(&config, AwsService::Serverless).expect("all that signing needs");
    assert!(client.bulk(&[put(1)]).await.is_ok());
    let header = double.seen()[0].authorization.clone().expect("a signature");
    assert!(
        header.starts_with("AWS4-HMAC-SHA256 Credential=AKID/") && header.contains("/eu-central-1/aoss/aws4_request")
    );
    assert!(header.contains("x-amz-content-sha256") && header.contains("x-amz-security-token"), "{header}");
    assert_eq!(format!("{client:?}").matches("secret").count(), 0);
}

/// The double by itself: what the published API says of the rest of `_bulk`.
mod double_itself {
    use super::*;
    use aws_smithy_http_client::Connector;
    use aws_smithy_runtime_api::client::{http::HttpConnector, orchestrator::HttpRequest};
    use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};

    async fn ask(double: &OpenSearchDouble, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method(method).expect("a method");
        request.set_uri(format!("{}{path}", double.url())).expect("a URL");
        let response = Connector::builder().build_http().call(request).await.expect("an answer");
        let status = response.status().as_u16();
        let body = ByteStream::new(response.into_body()).collect().await.expect("a body").into_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn bulk(double: &OpenSearchDouble, lines: &[Value]) -> Vec<(u16, String)> {
        let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let (status, answer) = ask(double, "POST", "/pets/_bulk", &body).await;
        assert_eq!(status, 200, "{answer}");
        let outcome = |item: &Value| {
            let outcome = item.as_object().and_then(|item| item.values().next()).expect("one operation").clone();
            let what = outcome.get("result").or(outcome.pointer("/error/type")).and_then(Value::as_str);
            let status = outcome["status"].as_u64().and_then(|status| u16::try_from(status).ok());
            (status.expect("a status"), what.expect("a result or an error").to_owned())
        };
        let items: Vec<_> = answer["items"].as_array().expect("items").iter().map(outcome).collect();
        let errors = items.iter().any(|(status, what)| *status >= 400 && what != "not_found");
        assert_eq!(answer["errors"], errors, "{answer}");
        items
    }

    fn is(items: &[(u16, String)], expected: &[(u16, &str)]) {
        let items: Vec<_> = items.iter().map(|(status, what)| (*status, what.as_str())).collect();
        assert_eq!(items, expected);
    }

    #[tokio::test]
    async fn plain_operations() {
        let (double, _) = double().await;
        let lines = [
            json!({"index": {"_id": "1"}}),
            json!({"a": {"b": 1}}),
            json!({"create": {"_id": "1"}}),
            json!({}),
            json!({"index": {"_id": "1"}}),
            json!({"a": {"b": 1}}),
            json!({"update": {"_id": "1"}}),
            json!({"doc": {"a": {"c": 2}}}),
            json!({"update": {"_id": "1"}}),
            json!({"doc": {"a": {"c": 2}}}),
            json!({"update": {"_id": "2"}}),
            json!({"doc": {}}),
            json!({"update": {"_id": "2"}}),
            json!({"doc": {"x": 1}, "doc_as_upsert": true}),
            json!({"update": {"_id": "3"}}),
            json!({"script": {"source": "ctx._source.n += 1"}, "upsert": {"n": 1}}),
            json!({"update": {"_id": "3"}}),
            json!({"script": {"source": "ctx._source.n += 1"}}),
            json!({"delete": {"_id": "3"}}),
            json!({"delete": {"_id": "3"}}),
        ];
        let expected = [
            (201, "created"),
            (409, "version_conflict_engine_exception"),
            (200, "updated"),
            (200, "updated"),
            (200, "noop"),
            (404, "document_missing_exception"),
            (201, "created"),
            (201, "created"),
            (400, "illegal_argument_exception"),
            (200, "deleted"),
            (404, "not_found"),
        ];
        is(&bulk(&double, &lines).await, &expected);
        assert_eq!(double.documents("pets")["1"], json!({"a": {"b": 1, "c": 2}}));
    }

    #[tokio::test]
    async fn external_versions_and_their_tombstones() {
        let (double, _) = double().await;
        let at = |action: &str, kind: &str, version: u64| json!({ action: {"_id": "1", "version_type": kind, "version": version} });
        let lines = [
            at("index", "external", 5),
            json!({}),
            at("index", "external", 5),
            json!({}),
            at("index", "external_gte", 5),
            json!({}),
            at("delete", "external", 4),
            at("delete", "external", 7),
            at("index", "external", 6),
            json!({}),
            at("index", "external", 8),
            json!({}),
        ];
        let conflict = (409, "version_conflict_engine_exception");
        let expected =
            [(201, "created"), conflict, (200, "updated"), conflict, (200, "deleted"), conflict, (201, "created")];
        is(&bulk(&double, &lines).await, &expected);
    }

    #[tokio::test]
    async fn searches_see_what_was_refreshed() {
        let (double, client) = double().await;
        client.bulk(&[put(1), put(2)]).await.expect("a bulk");
        let count = async || ask(&double, "GET", "/pets/_count", "").await.1["count"].clone();
        assert_eq!(count().await, 0);
        assert_eq!(ask(&double, "POST", "/pets/_refresh", "").await.0, 200);
        assert_eq!(count().await, 2);
        let (_, found) = ask(&double, "POST", "/pets/_search", r#"{"query": {"match_all": {}}, "size": 1}"#).await;
        assert_eq!(found["hits"]["total"]["value"], 2);
        assert_eq!(found["hits"]["hits"][0]["_source"]["number"], 1);
        assert_eq!(ask(&double, "POST", "/pets/_search", r#"{"query": {"term": {"a": 1}}}"#).await.0, 400);
        let line = "{\"delete\":{\"_index\":\"pets\",\"_id\":\"S=1\"}}\n";
        assert_eq!(ask(&double, "POST", "/_bulk?refresh=true", line).await.0, 200);
        assert_eq!(count().await, 1);
    }

    #[tokio::test]
    async fn malformed_bulks_are_refused_as_a_whole() {
        let (double, _) = double().await;
        let whole = [
            "{\"index\":{\"_index\":\"p\",\"_id\":\"1\"}}\n{}",
            "{\"put\":{}}\n",
            "nonsense\n",
            "{\"index\":{\"_id\":\"1\"}}\n{}\n",
        ];
        for body in whole {
            assert_eq!(ask(&double, "POST", "/_bulk", body).await.0, 400, "{body}");
        }
        assert!(double.indexes().is_empty(), "nothing was done");
    }
}
