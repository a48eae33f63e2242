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
    replica::Replica,
    sink::{dead_letter::Sqs, table::DynamoDb},
    source::backfill::BackfillFunction,
};
use handlers::{routers, search_server, setting};

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    lambda::init_logs();
    let client = aws_sdk_dynamodb::Client::new(&aws::load().await);
    let source = setting("SOURCE_TABLE")?;
    let region = env::var("TARGET_REGION").ok();
    let target = aws_sdk_dynamodb::Client::new(&aws::load_as(region, None).await);
    let replica = setting("TARGET_TABLE").ok().map(|table| {
        Replica::new(DynamoDb::new(target.clone(), table)).reread(DynamoDb::new(client.clone(), &*source))
    });
    let view = setting("VIEW_TABLE").ok().map(|table| DynamoDb::new(client.clone(), table));
    let router = routers::backfill(replica.clone(), view, search_server().await.ok());
    let app = match env::var("DEAD_LETTER_QUEUE_URL") {
        Ok(queue) => Dispatcher::with_dead_letters(router, Sqs::from_env(queue).await),
        Err(_) => Dispatcher::new(router),
    };
    let function = BackfillFunction::new(client, source, app, "backfill");
    lambda::run_backfill(match (replica, setting("TARGET_TABLE")) {
        (Some(replica), Ok(table)) => function.sweeping(target, table, routers::sweep(replica)),
        _ => function,
    })
    .await
}
