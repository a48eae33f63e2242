//! Brings what PetTracker held before its stream was switched on to its replica, its views and its search indexes.
//!
//! | Variable | |
//! |---|---|
//! | `SOURCE_TABLE` | the table that is read |
//! | `TARGET_TABLE`, `TARGET_REGION` | the replica, if there is one; its region, if it is not the function's |
//! | `TARGET_ROLE_ARN` | the role to write to the replica as, if it is not the function's: in another account |
//! | `VIEW_TABLE` | the table of the views, if there are any |
//! | `SEARCH_ENDPOINT`, `SEARCH_USER`, `SEARCH_PASSWORD` | the search indexes, if there are any |
//! | `DEAD_LETTER_QUEUE_URL` | the SQS queue for rows that no target can take; without it they are retried |

use anabranch::{aws, lambda, replica::Replica, sink::table::DynamoDb, source::backfill::BackfillFunction};
use aws_sdk_dynamodb::Client;
use handlers::{dispatcher, replica_client, routers, search_server, setting};

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    lambda::init_logs();
    let (source, here) = (setting("SOURCE_TABLE")?, Client::new(&aws::load().await));
    let there = replica_client().await;
    let target = setting("TARGET_TABLE").ok();
    let replica =
        target.map(|it| Replica::new(DynamoDb::new(there.clone(), it)).reread(DynamoDb::new(here.clone(), &*source)));
    let view = setting("VIEW_TABLE").ok().map(|table| DynamoDb::new(here.clone(), table));
    let search = match setting("SEARCH_ENDPOINT") {
        Ok(_) => Some(search_server().await?),
        Err(_) => None,
    };
    let router = routers::backfill(replica.clone(), view, search);
    let app = dispatcher(router).await;
    let function = BackfillFunction::new(here, source, app, "backfill");
    lambda::run_backfill(match replica {
        Some(it) => function.sweeping(there, setting("TARGET_TABLE")?, routers::sweep(it.clone())).verifying(it),
        None => function,
    })
    .await
}
