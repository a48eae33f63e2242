//! Brings what PetTracker held before its stream was switched on to its replica, its views and its search indexes.
//!
//! | Variable | |
//! |---|---|
//! | `SOURCE_TABLE` | the table that is read |
//! | `TARGET_TABLE`, `TARGET_REGION` | the replica, if there is one; its region, if it is not the function's |
//! | `VIEW_TABLE` | the table of the views, if there are any |
//! | `SEARCH_ENDPOINT`, `SEARCH_USER`, `SEARCH_PASSWORD` | the search indexes, if there are any |
//! | `DEAD_LETTER_QUEUE_URL` | the SQS queue for rows that no target can take; without it they are retried |

use std::env;

use anabranch::{
    aws,
    dispatch::Dispatcher,
    lambda,
    sink::{dead_letter::Sqs, table::DynamoDb},
    source::backfill::BackfillFunction,
};
use handlers::{routers, search_server, setting};

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    lambda::init_logs();
    let client = aws_sdk_dynamodb::Client::new(&aws::load().await);
    let source = DynamoDb::new(client.clone(), setting("SOURCE_TABLE")?);
    let replica = match setting("TARGET_TABLE") {
        Ok(target) => Some((DynamoDb::connect(target, env::var("TARGET_REGION").ok()).await, source)),
        Err(_) => None,
    };
    let view = setting("VIEW_TABLE").ok().map(|table| DynamoDb::new(client.clone(), table));
    let router = routers::backfill(replica, view, search_server().await.ok());
    let app = match env::var("DEAD_LETTER_QUEUE_URL") {
        Ok(queue) => Dispatcher::with_dead_letters(router, Sqs::from_env(queue).await),
        Err(_) => Dispatcher::new(router),
    };
    lambda::run_backfill(BackfillFunction::new(client, setting("SOURCE_TABLE")?, app, "backfill")).await
}
