//! A small table in memory, kept up to date by its stream: bookmark, scan, fetch, keep polling.
//!
//! The order is what makes it right. The bookmark comes first, so that no change falls between the scan and the stream. What was
//! written during the scan comes again from the stream: an older change on top of a newer row at first, and then every change up to
//! the newest. From the end of the first `catch_up` on, the copy is what the table was a moment ago.
//!
//! ```text
//! cargo run --features cli --example in_memory -- PetTracker
//! ```

use std::{collections::HashMap, error::Error, time::Duration};

use anabranch::{
    record::RawRecord,
    scan::Scan,
    source::{
        mapping::DynamoDbStream,
        reader::{StreamEvent, StreamReader},
    },
};
use aws_config::SdkConfig;
use futures_util::TryStreamExt;
use serde_dynamo::Item;

type BoxError = Box<dyn Error + Send + Sync>;

/// The rows of a table by their keys.
struct Copy {
    reader: StreamReader,
    key_names: Vec<String>,
    rows: HashMap<String, Item>,
}

impl Copy {
    /// Bookmarks the stream, and reads the table behind it.
    async fn of(config: &SdkConfig, table: &str) -> Result<Self, BoxError> {
        let client = aws_sdk_dynamodb::Client::new(config);
        let about = client.describe_table().table_name(table).send().await?.table.ok_or("no such table")?;
        let arn = about.latest_stream_arn.ok_or("the table has no stream")?;
        let key_names = about.key_schema.unwrap_or_default().into_iter().map(|key| key.attribute_name).collect();
        let stream = DynamoDbStream::new(aws_sdk_dynamodbstreams::Client::new(config), arn.clone());
        let mut copy = Self { reader: StreamReader::new(arn, stream).from_now(), key_names, rows: HashMap::new() };
        copy.reader.fetch().await?;
        let mut items = Scan::new(&client, table).items();
        while let Some(item) = items.try_next().await? {
            copy.put(item.item()?);
        }
        Ok(copy)
    }

    /// Takes over what changed since the last call; answers with how many changes that were.
    async fn catch_up(&mut self) -> Result<usize, BoxError> {
        let mut changes = 0;
        for event in self.reader.fetch().await? {
            match &event {
                StreamEvent::Insert(record) | StreamEvent::Modify(record) => self.put(new_image(record)?),
                StreamEvent::Remove(record) => drop(self.rows.remove(&self.key(&record.keys().item()?))),
                StreamEvent::Unreadable(record) => return Err(record.error().to_string().into()),
                StreamEvent::Gap { .. } => return Err("changes were lost: begin again".into()),
                _ => continue,
            }
            changes += 1;
        }
        Ok(changes)
    }

    fn put(&mut self, item: Item) {
        self.rows.insert(self.key(&item), item);
    }

    fn key(&self, item: &Item) -> String {
        self.key_names.iter().map(|name| format!("{:?}", item.get(name))).collect()
    }
}

fn new_image(record: &RawRecord) -> Result<Item, BoxError> {
    Ok(record.new_image().ok_or("the stream's view has no new images")?.item()?)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let table = std::env::args().nth(1).ok_or("which table?")?;
    let mut copy = Copy::of(&anabranch::aws::defaults().load().await, &table).await?;
    loop {
        let changes = copy.catch_up().await?;
        println!("{} rows, {changes} changes", copy.rows.len());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[cfg(test)]
mod tests {
    use anabranch::testing::embedded::{Embedded, PET_TRACKER};
    use aws_sdk_dynamodb::{Client, types::AttributeValue};

    use super::*;

    async fn put(client: &Client, pet: usize, weight: usize) {
        let put = client.put_item().table_name(PET_TRACKER).item("PK", AttributeValue::S("USER#ada".into()));
        let put = put.item("SK", AttributeValue::S(format!("PET#{pet}")));
        put.item("weightKg", AttributeValue::N(weight.to_string())).send().await.expect("a put");
    }

    async fn delete(client: &Client, pet: usize) {
        let delete = client.delete_item().table_name(PET_TRACKER).key("PK", AttributeValue::S("USER#ada".into()));
        delete.key("SK", AttributeValue::S(format!("PET#{pet}"))).send().await.expect("a delete");
    }

    async fn table(client: &Client, copy: &Copy) -> HashMap<String, Item> {
        let rows = client.scan().table_name(PET_TRACKER).send().await.expect("a scan").items.unwrap_or_default();
        rows.into_iter().map(Item::from).map(|item| (copy.key(&item), item)).collect()
    }

    #[tokio::test]
    async fn the_copy_becomes_the_table() {
        let embedded = Embedded::start().await.expect("an embedded DynamoDB");
        embedded.create_pet_tracker().await.expect("tables");
        let client = embedded.dynamodb();
        for pet in 0..20 {
            put(&client, pet, 1).await;
        }
        // Written while it scans: some of it is seen by both the scan and the stream.
        let written = async {
            for pet in 0..30 {
                put(&client, pet, 2).await;
            }
            delete(&client, 3).await;
        };
        let (copy, ()) = tokio::join!(Copy::of(embedded.sdk_config(), PET_TRACKER), written);
        let mut copy = copy.expect("a copy");
        copy.catch_up().await.expect("changes");
        assert_eq!(copy.rows, table(&client, &copy).await);
        assert_eq!(copy.rows.len(), 29);

        for pet in 10..20 {
            delete(&client, pet).await;
        }
        put(&client, 5, 3).await;
        assert_eq!(copy.catch_up().await.expect("changes"), 11, "what changed, and not the past");
        assert_eq!(copy.rows, table(&client, &copy).await);
        assert_eq!(copy.catch_up().await.expect("changes"), 0);
        embedded.stop().await.expect("an end");
    }
}
