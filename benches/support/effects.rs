//! What a batch's effects take: by our handlers, and by the loop that one writes first, with an SDK call for each record.

#![allow(dead_code, reason = "each user of the support code uses its own part of it")]

use std::{fmt::Write, sync::Arc};

use anabranch::{
    dispatch::Dispatcher,
    handler::Context,
    idempotency::IdempotentExt,
    notify::Notify,
    record::{Entity, Item, NewAndOldImages, Record},
    replica::Replica,
    router::Router,
    search::{Search, all_attributes},
    sink::{
        index::{DocumentId, Fields, Index, OpenSearch, Operation},
        ledger,
        publisher::{Message, Sns},
        table,
    },
    view::{Contribution, View},
};
use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_sdk_dynamodb::types::AttributeValue;

/// The table that is written to; as a ledger, its key is `id`.
pub(crate) const TABLE: &str = "Target";
/// The rows of the view.
const ROWS: usize = 100;
pub(crate) const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:news";

/// An activity, as far as the handlers read it.
#[derive(serde::Deserialize)]
struct Activity {
    row: String,
    minutes: u32,
}

impl Entity for Activity {
    const NAME: &'static str = "ACTIVITY";
}

/// An effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A replica under guard; every item changes four times.
    Guarded,
    /// A replica in batches; every item changes once.
    Plain,
    /// Counts and sums in a hundred rows; every item changes once.
    View,
    /// A notification for each change.
    Notify,
    /// The same, once: a ledger around it.
    Once,
    /// A search index; every item changes once.
    Search,
}

/// Where effects go.
pub(crate) struct Sinks {
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) sns: aws_sdk_sns::Client,
    pub(crate) search: Arc<OpenSearch>,
}

impl Effect {
    pub(crate) const ALL: [Self; 6] = [Self::Guarded, Self::Plain, Self::View, Self::Notify, Self::Once, Self::Search];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Guarded => "guarded",
            Self::Plain => "plain",
            Self::View => "view",
            Self::Notify => "notify",
            Self::Once => "once",
            Self::Search => "search",
        }
    }

    /// How many times fewer requests it has to take than the loop.
    pub(crate) fn goal(self) -> usize {
        match self {
            Self::Guarded => 3,
            Self::Plain | Self::View => 20,
            Self::Notify | Self::Once => 9,
            Self::Search => 100,
        }
    }

    /// A batch of so many changes.
    pub(crate) fn batch(self, changes: usize) -> Vec<u8> {
        let items = if self == Self::Guarded { changes / 4 } else { changes };
        let mut body = r#"{"Records":["#.to_owned();
        for n in 0..changes {
            let separator = if n == 0 { "" } else { "," };
            write!(body, "{separator}{}", record(n, n % items)).expect("a string grows");
        }
        (body + "]}").into_bytes()
    }

    /// What our handler does, whole: read, dispatch, write.
    pub(crate) async fn ours(self, sinks: &Sinks, batch: Vec<u8>, changes: usize) {
        let dispatcher = Dispatcher::new(self.router(sinks));
        let report = dispatcher.dispatch(batch, &Context::default()).await.expect("a stream event");
        assert_eq!((report.applied, report.unfinished), (changes, None), "everything was done");
    }

    pub(crate) fn router(self, sinks: &Sinks) -> Router<NewAndOldImages> {
        let target = table::DynamoDb::new(sinks.dynamodb.clone(), TABLE);
        let news = |record: &Record<Activity>| record.change.current().map(|activity| Message::new(&*activity.row));
        let notify = Notify::<Activity>::new(Sns::new(sinks.sns.clone(), TOPIC), news);
        let router = Router::by_attribute("entityType");
        match self {
            Self::Guarded => router.every(Replica::new(target)).ignore_others(),
            Self::Plain => router.every(Replica::plain(target)).ignore_others(),
            Self::View => router.on(View::aggregate("bench", target, contributions)),
            Self::Notify => router.on(notify),
            Self::Once => router.on(notify.idempotent(ledger::DynamoDb::new(sinks.dynamodb.clone(), TABLE, "news"))),
            Self::Search => {
                router.every(Search::new(Arc::clone(&sinks.search), "activities", all_attributes)).ignore_others()
            }
        }
    }

    /// What a loop over the records does.
    pub(crate) async fn theirs(self, sinks: &Sinks, batch: &[u8]) {
        let event: Event = serde_json::from_slice(batch).expect("a stream event");
        for record in event.records {
            match self {
                Self::Guarded | Self::Plain => sinks.put(record).await,
                Self::View => sinks.add(record).await,
                Self::Notify => sinks.publish(record).await,
                Self::Once => {
                    sinks.mark(&record).await;
                    sinks.publish(record).await;
                }
                Self::Search => sinks.index(record).await,
            }
        }
    }
}

fn contributions(activity: &Activity) -> Vec<Contribution> {
    vec![Contribution::to("ROW", &*activity.row).count("activities").sum("minutes", activity.minutes)]
}

fn record(n: usize, item: usize) -> String {
    let keys = format!(r#""PK":{{"S":"PET#{item}"}},"SK":{{"S":"ACTIVITY#2026-11-21T00:00:00Z"}}"#);
    let image = format!(
        r#"{{{keys},"entityType":{{"S":"ACTIVITY"}},"row":{{"S":"row-{}"}},"minutes":{{"N":"{}"}},"note":{{"S":"twice around the lake"}}}}"#,
        item % ROWS,
        n % 60
    );
    format!(
        r#"{{"eventID":"{n:032x}","eventName":"INSERT","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-central-1","eventSourceARN":"arn:aws:dynamodb:eu-central-1:123456789012:table/T/stream/2026-11-21T00:00:00.000","dynamodb":{{"ApproximateCreationDateTime":1.7637e9,"Keys":{{{keys}}},"NewImage":{image},"SequenceNumber":"{:021}","SizeBytes":200,"StreamViewType":"NEW_AND_OLD_IMAGES"}}}}"#,
        n + 1
    )
}

/// What one does with a record when one writes the loop.
impl Sinks {
    async fn put(&self, record: EventRecord) {
        let put = self.dynamodb.put_item().table_name(TABLE).set_item(Some(record.change.new_image.into()));
        put.send().await.expect("a write");
    }

    /// The `ADD` of every tutorial.
    async fn add(&self, record: EventRecord) {
        let activity: Activity = serde_dynamo::from_item(record.change.new_image).expect("an activity");
        let update = self
            .dynamodb
            .update_item()
            .table_name(TABLE)
            .key("PK", AttributeValue::S("ROW".to_owned()))
            .key("SK", AttributeValue::S(activity.row))
            .update_expression("ADD activities :one, minutes :minutes")
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .expression_attribute_values(":minutes", AttributeValue::N(activity.minutes.to_string()));
        update.send().await.expect("a write");
    }

    /// The mark of every tutorial that the record was seen.
    async fn mark(&self, record: &EventRecord) {
        let put = self
            .dynamodb
            .put_item()
            .table_name(TABLE)
            .item("id", AttributeValue::S(record.event_id.clone()))
            .condition_expression("attribute_not_exists(id)");
        put.send().await.expect("a new mark");
    }

    async fn publish(&self, record: EventRecord) {
        let activity: Activity = serde_dynamo::from_item(record.change.new_image).expect("an activity");
        self.sns.publish().topic_arn(TOPIC).message(activity.row).send().await.expect("a message");
    }

    async fn index(&self, record: EventRecord) {
        let id = DocumentId::of(&record.change.keys);
        let version = record.change.sequence_number.expect("a sequence number");
        let document = all_attributes(&Item(record.change.new_image)).expect("a document");
        let put = Operation::put("activities", id, &version, &document, &Fields::default()).expect("a document");
        self.search.bulk(&[put]).await.expect("an answer").remove(0).expect("a new document");
    }
}
