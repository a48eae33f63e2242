//! Tells users of their pets: a welcome, a weight that changed by more than two kilograms, a farewell.
//!
//! | Variable | |
//! |---|---|
//! | `TOPIC_ARN` | the SNS topic |
//! | `LEDGER_TABLE` | the table that remembers what was sent: key `id`, time to live on `expiresAt` |
//! | `DEAD_LETTER_QUEUE_URL` | the SQS queue for records that cannot be told of; without it they are retried |

use std::env;

use anabranch::{
    dispatch::Dispatcher,
    lambda,
    sink::{dead_letter::Sqs, ledger::DynamoDb, publisher::Sns},
};
use handlers::{routers, setting};

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    lambda::init_logs();
    let topic = Sns::from_env(setting("TOPIC_ARN")?).await;
    let ledger = DynamoDb::connect(setting("LEDGER_TABLE")?, "pet-news").await;
    let router = routers::notify(topic, ledger);
    let app = match env::var("DEAD_LETTER_QUEUE_URL") {
        Ok(queue) => Dispatcher::with_dead_letters(router, Sqs::from_env(queue).await),
        Err(_) => Dispatcher::new(router),
    };
    lambda::run(app).await
}
