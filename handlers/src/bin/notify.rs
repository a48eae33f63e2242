//! Tells users of their pets: a welcome, a weight that changed by more than two kilograms, a farewell.
//!
//! | Variable | |
//! |---|---|
//! | `TOPIC_ARN` | the SNS topic |
//! | `LEDGER_TABLE` | the table that remembers what was sent: key `id`, time to live on `expiresAt` |
//! | `DEAD_LETTER_QUEUE_URL` | the SQS queue for records that cannot be told of; without it they are retried |

use anabranch::{
    lambda,
    sink::{ledger::DynamoDb, publisher::Sns},
};
use handlers::{dispatcher, routers, setting};

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    lambda::init_logs();
    let topic = Sns::from_env(setting("TOPIC_ARN")?).await;
    let ledger = DynamoDb::connect(setting("LEDGER_TABLE")?, "pet-news").await;
    let router = routers::notify(topic, ledger);
    lambda::run(dispatcher(router).await).await
}
