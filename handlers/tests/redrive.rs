//! What was given up is handed over again, after later changes of its items were handled.

use std::sync::Arc;

use anabranch::{
    dispatch::Dispatcher,
    handler::Context,
    record::StreamView,
    router::Router,
    sink::{
        index,
        table::{Item, Memory, RowWrite, Table, item, text},
    },
};
use handlers::routers;
use serde_json::{Value, json};

fn change(name: &str, sequence: u32) -> Value {
    let image = json!({"PK": {"S": "USER#1"}, "SK": {"S": "PET#7"}, "entityType": {"S": "PET"}, "name": {"S": "Mia"}});
    let which = if name == "REMOVE" { "OldImage" } else { "NewImage" };
    json!({"eventName": name, "eventSource": "aws:dynamodb", "dynamodb": {
        "ApproximateCreationDateTime": 1.7684784e9, "SequenceNumber": sequence.to_string(),
        "Keys": {"PK": {"S": "USER#1"}, "SK": {"S": "PET#7"}}, (which): image
    }})
}

/// An insert was given up, the removal is handled, and the insert is handed over again.
async fn redrive<V: StreamView>(router: Router<V>) {
    let dispatcher = Dispatcher::new(router);
    for record in [change("REMOVE", 2), change("INSERT", 1)] {
        let event = json!({"Records": [record]}).to_string();
        let report = dispatcher.dispatch(event, &Context::default()).await.expect("a stream event");
        assert_eq!(report.unfinished, None);
    }
}

#[tokio::test]
async fn what_is_gone_does_not_come_back_to_the_replica() {
    let table = |name| Arc::new(Memory::new(name, ["PK", "SK"]));
    let (source, replica) = (table("PetTracker"), table("Replica"));
    redrive(routers::replicate(replica.clone(), Some(source.clone()))).await;
    assert_eq!(replica.rows(), Vec::<Item>::new());

    let key = || item([("PK", text("USER#1")), ("SK", text("PET#7"))]);
    source.write_batch(&[RowWrite::put(key(), key())]).await.expect("a row that fits");
    redrive(routers::replicate(replica.clone(), Some(source))).await;
    assert_eq!(replica.rows().len(), 1, "what is there does");
}

#[tokio::test]
async fn what_is_gone_does_not_come_back_to_the_indexes() {
    let server = Arc::new(index::Memory::new("search"));
    redrive(routers::index(server.clone())).await;
    assert_eq!(server.documents(), []);
}
