//! DynamoDB with streams inside this process, over HTTP, with no account and nothing to install.

use std::{io, net::Ipv4Addr};

use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::{
    Client,
    config::{Credentials, SharedCredentialsProvider},
    operation::create_table::builders::CreateTableFluentBuilder,
    types::{
        AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, PutRequest, ScalarAttributeType,
        StreamSpecification, StreamViewType, TimeToLiveSpecification, WriteRequest,
    },
};
use dynoxide::{Database, DynoxideError};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{
    aws::{self, AwsFailure},
    view::DEFAULT_EXPIRY_ATTRIBUTE,
};

/// The table of the PetTracker examples.
pub const PET_TRACKER: &str = "PetTracker";
/// Its replica.
pub const PET_TRACKER_REPLICA: &str = "PetTrackerReplica";
/// The table that its views are in.
pub const PET_TRACKER_VIEWS: &str = "PetTrackerViews";
/// The ledger that remembers which notifications were sent.
pub const PET_TRACKER_LEDGER: &str = "PetTrackerLedger";
/// The attribute of PetTracker that holds when an item expires.
pub const PET_TRACKER_TTL: &str = "expiresAt";

/// Every write to a table with a stream asks for the largest sequence number so far. Without these indexes it
/// reads all records of the stream to find it.
const STREAM_INDEXES: &str = "
    CREATE INDEX IF NOT EXISTS anabranch_by_table
        ON _stream_records(table_name, CAST(sequence_number AS INTEGER));
    CREATE INDEX IF NOT EXISTS anabranch_by_shard
        ON _stream_records(table_name, shard_id, CAST(sequence_number AS INTEGER));";

/// A DynamoDB API with streams on a port of this machine, gone when it is stopped or dropped.
///
/// The data lives in a file of a temporary folder. It is `dynoxide`, which differs from AWS in ways worth
/// knowing: a put that changes nothing still makes a stream record, a stream has one shard that never closes,
/// nothing is ever throttled, and items expire only in [`sweep_ttl`](Self::sweep_ttl).
///
/// ```
/// use anabranch::testing::embedded::{Embedded, PET_TRACKER};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let embedded = Embedded::start().await?;
/// embedded.create_pet_tracker().await?;
/// let tables = embedded.dynamodb().list_tables().send().await?;
/// assert!(tables.table_names().contains(&PET_TRACKER.to_owned()));
/// embedded.stop().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Embedded {
    endpoint: String,
    config: SdkConfig,
    database: Database,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), String>>,
    folder: TempDir,
}

/// Why the embedded DynamoDB does not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// There is no place for its data.
    #[error("no temporary folder for the embedded database")]
    Folder(#[source] io::Error),
    /// Its port is taken.
    #[error("port {port} of 127.0.0.1 cannot be listened on")]
    Listen {
        /// The port that was asked for; 0 is any.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// Its database cannot be opened, or an operation on it failed.
    #[error("the embedded database failed")]
    Database(#[from] DynoxideError),
    /// Its stream records cannot be indexed.
    #[error("the embedded database could not be indexed")]
    Index(#[from] rusqlite::Error),
    /// A table cannot be set up.
    #[error("table `{table}` could not be set up: {failure}")]
    Table {
        /// The table.
        table: String,
        /// What the service says.
        failure: AwsFailure,
    },
    /// The server ended by itself, or could not be stopped.
    #[error("the embedded server failed: {reason}")]
    Server {
        /// What it says.
        reason: String,
    },
}

impl Embedded {
    /// Starts on any free port.
    ///
    /// # Errors
    /// [`EmbeddedError`], if there is no folder, no port or no database to be had.
    pub async fn start() -> Result<Self, EmbeddedError> {
        Self::start_on(0).await
    }

    /// Starts on a port of 127.0.0.1.
    ///
    /// # Errors
    /// As [`start`](Self::start); a port that is taken is [`EmbeddedError::Listen`].
    pub async fn start_on(port: u16) -> Result<Self, EmbeddedError> {
        let listen = |source| EmbeddedError::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(listen)?;
        let endpoint = format!("http://{}", listener.local_addr().map_err(listen)?);
        let folder = tempfile::Builder::new().prefix("anabranch-").tempdir().map_err(EmbeddedError::Folder)?;
        let database = open(&folder)?;
        let (stop, stopped) = oneshot::channel();
        let until = async {
            // An answer or a dropped sender: both are the end.
            let _ = stopped.await;
        };
        let server = tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database.clone(), until));
        Ok(Self { config: sdk_config(&endpoint), endpoint, database, stop, server, folder })
    }

    /// The address, as in `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A configuration for clients of it, which takes nothing from the environment.
    pub fn sdk_config(&self) -> &SdkConfig {
        &self.config
    }

    /// A client of its tables.
    pub fn dynamodb(&self) -> Client {
        Client::new(&self.config)
    }

    /// A client of its streams.
    pub fn streams(&self) -> aws_sdk_dynamodbstreams::Client {
        aws_sdk_dynamodbstreams::Client::new(&self.config)
    }

    /// Creates a table keyed by the strings `PK` and `SK`, and answers with the ARN of its stream, if it is to
    /// have one.
    ///
    /// # Errors
    /// [`EmbeddedError::Table`], for example if there is one of that name.
    pub async fn create_table(
        &self,
        table: &str,
        stream: Option<StreamViewType>,
    ) -> Result<Option<String>, EmbeddedError> {
        let specification = stream.map(|view| {
            let specification = StreamSpecification::builder().stream_enabled(true).stream_view_type(view);
            specification.build().expect("all that is required is set")
        });
        let keys = [("PK", KeyType::Hash), ("SK", KeyType::Range)];
        let create = self.new_table(table, &keys).set_stream_specification(specification);
        let created = create.send().await.map_err(|error| not_set_up(table, AwsFailure::of(&error)))?;
        Ok(created.table_description.and_then(|table| table.latest_stream_arn))
    }

    /// Creates a table for a [ledger](crate::sink::ledger::DynamoDb): keyed by the string `id`, with time to live on
    /// `expiresAt`.
    ///
    /// # Errors
    /// [`EmbeddedError::Table`].
    pub async fn create_ledger(&self, table: &str) -> Result<(), EmbeddedError> {
        let create = self.new_table(table, &[("id", KeyType::Hash)]);
        create.send().await.map_err(|error| not_set_up(table, AwsFailure::of(&error)))?;
        self.enable_ttl(table, "expiresAt").await
    }

    fn new_table(&self, table: &str, keys: &[(&str, KeyType)]) -> CreateTableFluentBuilder {
        let create = self.dynamodb().create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
        create
            .set_attribute_definitions(Some(keys.iter().map(|(name, _)| string_attribute(name)).collect()))
            .set_key_schema(Some(keys.iter().map(|(name, kind)| key(name, kind.clone())).collect()))
    }

    /// Makes items of a table expire at the time in `attribute`, in seconds since 1970.
    ///
    /// # Errors
    /// [`EmbeddedError::Table`].
    pub async fn enable_ttl(&self, table: &str, attribute: &str) -> Result<(), EmbeddedError> {
        let specification = TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute).build();
        let update = self
            .dynamodb()
            .update_time_to_live()
            .table_name(table)
            .time_to_live_specification(specification.expect("all that is required is set"));
        update.send().await.map_err(|error| not_set_up(table, AwsFailure::of(&error)))?;
        Ok(())
    }

    /// Creates [`PET_TRACKER`], with a stream of both images and items that expire at [`PET_TRACKER_TTL`], and what its
    /// functions write to: [`PET_TRACKER_REPLICA`], [`PET_TRACKER_VIEWS`] and [`PET_TRACKER_LEDGER`]. Answers with the
    /// ARN of the stream.
    ///
    /// # Errors
    /// [`EmbeddedError::Table`].
    pub async fn create_pet_tracker(&self) -> Result<String, EmbeddedError> {
        let stream = self.create_table(PET_TRACKER, Some(StreamViewType::NewAndOldImages)).await?;
        self.enable_ttl(PET_TRACKER, PET_TRACKER_TTL).await?;
        self.create_table(PET_TRACKER_REPLICA, None).await?;
        self.create_table(PET_TRACKER_VIEWS, None).await?;
        self.enable_ttl(PET_TRACKER_VIEWS, DEFAULT_EXPIRY_ATTRIBUTE).await?;
        self.create_ledger(PET_TRACKER_LEDGER).await?;
        Ok(stream.expect("a table created with a stream has one"))
    }

    /// Puts so many pets into [`PET_TRACKER`], seven to an owner: cats, dogs and parrots, from 0.5 kg on in steps of 0.25 kg up to 10 kg.
    ///
    /// # Errors
    /// [`EmbeddedError::Table`].
    pub async fn put_pets(&self, pets: usize) -> Result<(), EmbeddedError> {
        self.put_rows(PET_TRACKER, (0..pets).map(pet)).await
    }

    /// Puts rows of different keys into a table, 25 at a time.
    ///
    /// # Errors
    /// [`EmbeddedError::Table`].
    pub async fn put_rows<R>(&self, table: &str, rows: impl IntoIterator<Item = R>) -> Result<(), EmbeddedError>
    where
        R: IntoIterator<Item = (String, AttributeValue)>,
    {
        let client = self.dynamodb();
        let put = |row: R| {
            let put = PutRequest::builder().set_item(Some(row.into_iter().collect())).build().expect("an item is set");
            WriteRequest::builder().put_request(put).build()
        };
        let writes: Vec<_> = rows.into_iter().map(put).collect();
        for chunk in writes.chunks(25) {
            let write = client.batch_write_item().request_items(table, chunk.to_vec());
            write.send().await.map_err(|error| not_set_up(table, AwsFailure::of(&error)))?;
        }
        Ok(())
    }

    /// Deletes the items that have expired, as DynamoDB does by and by, and answers with how many there were. Also those that expired more
    /// than five years ago, which DynamoDB leaves alone.
    ///
    /// # Errors
    /// [`EmbeddedError::Database`].
    pub async fn sweep_ttl(&self) -> Result<usize, EmbeddedError> {
        let database = self.database.clone();
        let swept = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
        Ok(swept.map_err(|panic| EmbeddedError::Server { reason: panic.to_string() })??)
    }

    /// Lets the requests under way finish, ends the server, and deletes the data.
    ///
    /// # Errors
    /// [`EmbeddedError::Server`] if the server had failed, [`EmbeddedError::Folder`] if the data stays.
    pub async fn stop(self) -> Result<(), EmbeddedError> {
        let Self { stop, server, database, folder, .. } = self;
        drop(database);
        drop(stop);
        let failed = |reason| EmbeddedError::Server { reason };
        server.await.map_err(|panic| failed(panic.to_string()))?.map_err(failed)?;
        folder.close().map_err(EmbeddedError::Folder)
    }
}

fn open(folder: &TempDir) -> Result<Database, EmbeddedError> {
    let path = folder.path().join("dynamodb.sqlite");
    let database = Database::new(&path.to_string_lossy())?;
    rusqlite::Connection::open(&path)?.execute_batch(STREAM_INDEXES)?;
    Ok(database)
}

fn sdk_config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("embedded", "embedded", None, None, "embedded");
    SdkConfig::builder()
        .behavior_version(aws::behavior())
        .region(Region::new("local"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .retry_config(aws::retries())
        .timeout_config(aws::timeouts())
        .build()
}

fn string_attribute(name: &str) -> AttributeDefinition {
    let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
    attribute.build().expect("all that is required is set")
}

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().expect("all that is required is set")
}

fn pet(n: usize) -> impl Iterator<Item = (String, AttributeValue)> {
    let texts = [
        ("PK", format!("USER#{:06}", n / 7)),
        ("SK", format!("PET#{n:06}")),
        ("entityType", "PET".to_owned()),
        ("name", format!("Pet {n}")),
        ("species", ["cat", "dog", "parrot"][n % 3].to_owned()),
    ];
    let weight = AttributeValue::N((0.5 + 0.25 * (n % 39) as f64).to_string());
    let texts = texts.into_iter().map(|(name, text)| (name, AttributeValue::S(text)));
    texts.chain([("weightKg", weight)]).map(|(name, value)| (name.to_owned(), value))
}

fn not_set_up(table: &str, failure: AwsFailure) -> EmbeddedError {
    EmbeddedError::Table { table: table.to_owned(), failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_writes_use_the_indexes() {
        let folder = tempfile::tempdir().unwrap();
        let _database = open(&folder).unwrap();
        let connection = rusqlite::Connection::open(folder.path().join("dynamodb.sqlite")).unwrap();
        let plan = |condition: &str| {
            let query = format!(
                "EXPLAIN QUERY PLAN SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE {condition}"
            );
            connection.query_row(&query, [], |row| row.get::<_, String>(3)).unwrap()
        };
        let by_table = plan("table_name = 't'");
        assert!(by_table.contains("USING COVERING INDEX anabranch_by_table"), "{by_table}");
        let by_shard = plan("table_name = 't' AND shard_id = 's'");
        assert!(by_shard.contains("anabranch_by_shard"), "{by_shard}");
    }
}
