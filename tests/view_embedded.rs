//! PetTracker's views against the DynamoDB API: leaderboard, daily summary, species count.

use anabranch::{
    dispatch::Dispatcher,
    handler::Context,
    record::{Entity, NewAndOldImages},
    router::Router,
    sink::table::{Decimal, DynamoDb, text},
    testing::embedded::{Embedded, EmbeddedError},
    view::{Contribution, Row, View},
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

#[derive(serde::Deserialize)]
struct Pet {
    #[serde(rename = "SK")]
    id: String,
    name: String,
    species: String,
}

impl Entity for Pet {
    const NAME: &'static str = "PET";
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Activity {
    #[serde(rename = "PK")]
    pet: String,
    activity_type: String,
    minutes: u32,
    timestamp: String,
}

impl Entity for Activity {
    const NAME: &'static str = "ACTIVITY";
}

fn leaderboard(table: &DynamoDb) -> View<Activity> {
    let view = View::aggregate("leaderboard", table.clone(), |activity: &Activity| {
        vec![
            Contribution::to("LEADERBOARD", &*activity.pet)
                .sum("minutes", activity.minutes)
                .max("longest", activity.minutes),
        ]
    });
    view.entity("entityType", "VIEW")
}

fn daily(table: &DynamoDb) -> View<Activity> {
    let view = View::aggregate("daily", table.clone(), |activity: &Activity| {
        let day = &activity.timestamp[..10];
        vec![
            Contribution::to(&*activity.pet, format!("SUMMARY#{day}"))
                .count("activities")
                .average("minutes", activity.minutes)
                .last("lastActivity", &*activity.timestamp, text(&*activity.activity_type)),
        ]
    });
    view.entity("entityType", "VIEW")
}

fn species(table: &DynamoDb) -> View<Pet> {
    let view = View::aggregate("species", table.clone(), |pet: &Pet| {
        vec![Contribution::to("SPECIES", &*pet.species).count("pets")]
    });
    view.shards(4).entity("entityType", "VIEW")
}

fn by_name(table: &DynamoDb) -> View<Pet> {
    let view = View::project("names", table.clone(), |pet: &Pet| {
        vec![Row::at(format!("NAME#{}", pet.name), &*pet.id).set("species", text(&*pet.species))]
    });
    view.entity("entityType", "VIEW")
}

fn dispatcher(table: &DynamoDb) -> Dispatcher {
    let router = Router::<NewAndOldImages>::by_attribute("entityType");
    Dispatcher::new(router.on(leaderboard(table)).on(daily(table)).on(species(table)).on(by_name(table)).ignore("VIEW"))
}

struct Stream {
    records: Vec<Value>,
}

impl Stream {
    fn add(&mut self, name: &str, key: (&str, &str), old: Option<Value>, new: Option<Value>) {
        let keys = json!({"PK": {"S": key.0}, "SK": {"S": key.1}});
        let image = |body: Value| {
            let mut image = keys.clone();
            image.as_object_mut().expect("an object").extend(body.as_object().expect("an object").clone());
            image
        };
        let mut body = json!({"Keys": keys, "SequenceNumber": format!("{:021}", self.records.len() + 1)});
        for (part, value) in [("OldImage", old), ("NewImage", new)] {
            if let Some(value) = value {
                body[part] = image(value);
            }
        }
        let arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/PetTracker/stream/2026-11-21T00:00:00.000";
        self.records.push(json!({"eventName": name, "dynamodb": body, "eventSourceARN": arn}));
    }

    fn pet(&mut self, id: &str, old: Option<(&str, &str)>, new: Option<(&str, &str)>) {
        let pet = |(name, species): (&str, &str)| json!({"entityType": {"S": "PET"}, "name": {"S": name}, "species": {"S": species}});
        self.add(event(&old, &new), ("USER#ada", id), old.map(pet), new.map(pet));
    }

    fn activity(&mut self, pet: &str, time: &str, old: Option<(&str, u32)>, new: Option<(&str, u32)>) {
        let timestamp = format!("2026-11-21T{time}:00Z");
        let activity = |(kind, minutes): (&str, u32)| {
            json!({"entityType": {"S": "ACTIVITY"}, "activityType": {"S": kind}, "minutes": {"N": minutes.to_string()},
                   "timestamp": {"S": timestamp}})
        };
        let sort = format!("ACTIVITY#{timestamp}");
        self.add(event(&old, &new), (pet, &sort), old.map(activity), new.map(activity));
    }
}

fn event<T>(old: &Option<T>, new: &Option<T>) -> &'static str {
    match (old, new) {
        (None, _) => "INSERT",
        (Some(_), Some(_)) => "MODIFY",
        (Some(_), None) => "REMOVE",
    }
}

fn pet_tracker() -> Vec<Value> {
    let mut stream = Stream { records: Vec::new() };
    stream.pet("PET#mia", None, Some(("Mia", "cat")));
    stream.pet("PET#rex", None, Some(("Rex", "dog")));
    stream.activity("PET#mia", "08:00", None, Some(("WALK", 30)));
    stream.activity("PET#mia", "09:00", None, Some(("PLAY", 50)));
    stream.activity("PET#rex", "10:00", None, Some(("WALK", 20)));
    stream.activity("PET#mia", "08:00", Some(("WALK", 30)), Some(("WALK", 35)));
    stream.pet("PET#mia", Some(("Mia", "cat")), Some(("Mia", "dog")));
    stream.activity("PET#mia", "09:00", Some(("PLAY", 50)), None);
    stream.pet("PET#rex", Some(("Rex", "dog")), Some(("Rexi", "dog")));
    stream.records
}

async fn deliver(table: &DynamoDb, records: &[Value]) {
    let payload = json!({ "Records": records }).to_string().into_bytes();
    let report = dispatcher(table).dispatch(payload, &Context::default()).await.expect("a stream event");
    assert!(report.unfinished.is_none(), "{report:?}");
}

async fn check(table: &DynamoDb, embedded: &Embedded) {
    let mia =
        leaderboard(table).reader().read("LEADERBOARD", "PET#mia").await.expect("readable").expect("Mia has walked");
    assert_eq!((mia.items(), mia.number("minutes")), (1.into(), 35.into()));
    assert_eq!(mia.value("longest").cloned(), Some(serde_dynamo::AttributeValue::N("35".into())));
    let day = daily(table).reader().read("PET#mia", "SUMMARY#2026-11-21").await.expect("readable").expect("a day");
    assert_eq!((day.number("activities"), day.average("minutes", 1)), (1.into(), Some(Decimal::from(35))));
    assert_eq!(day.value("lastActivity"), Some(&text("WALK")), "the play is gone");
    let species = species(table).reader();
    assert!(species.read("SPECIES", "cat").await.expect("readable").is_none(), "the cat became a dog");
    assert_eq!(species.read("SPECIES", "dog").await.expect("readable").expect("two dogs").number("pets"), 2.into());
    let scan = embedded.dynamodb().scan().table_name("Views").filter_expression("begins_with(PK, :name)");
    let name = aws_sdk_dynamodb::types::AttributeValue::S("NAME#".into());
    let found = scan.expression_attribute_values(":name", name).send().await.expect("a scan");
    let mut names: Vec<_> = found.items().iter().map(|row| row["PK"].as_s().expect("a string").clone()).collect();
    names.sort();
    assert_eq!(names, ["NAME#Mia", "NAME#Rexi"]);
}

#[tokio::test]
async fn pet_tracker_s_views_equal_the_table_under_redelivery() -> Result<(), EmbeddedError> {
    let embedded = Embedded::start().await?;
    embedded.create_table("Views", None).await?;
    let table = DynamoDb::new(embedded.dynamodb(), "Views");
    let records = pet_tracker();
    // As Lambda may: in small batches, each twice, then everything, then old batches by a late worker.
    for batch in records.chunks(4) {
        deliver(&table, batch).await;
        deliver(&table, batch).await;
    }
    check(&table, &embedded).await;
    deliver(&table, &records).await;
    deliver(&table, &records[1..5]).await;
    check(&table, &embedded).await;
    embedded.stop().await
}

/// Workers of different shards on different items of one view row.
#[tokio::test]
async fn workers_side_by_side_lose_nothing() -> Result<(), EmbeddedError> {
    let embedded = Embedded::start().await?;
    embedded.create_table("Views", None).await?;
    let table = DynamoDb::new(embedded.dynamodb(), "Views");
    let mut stream = Stream { records: Vec::new() };
    for n in 0..120 {
        stream.activity("PET#mia", &format!("{:02}:{:02}", n / 60, n % 60), None, Some(("WALK", n)));
    }
    let workers = stream.records.chunks(20).map(|batch| deliver(&table, batch));
    stream::iter(workers.collect::<Vec<_>>()).buffer_unordered(6).collect::<Vec<()>>().await;
    let mia = leaderboard(&table).reader().read("LEADERBOARD", "PET#mia").await.expect("readable").expect("a row");
    assert_eq!((mia.items(), mia.number("minutes")), (120.into(), (119 * 120 / 2).into()));
    assert_eq!(mia.value("longest").cloned(), Some(serde_dynamo::AttributeValue::N("119".into())));
    embedded.stop().await
}
