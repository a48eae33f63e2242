//! Keeps a copy of a table in another table: in another region, or beside it.
//!
//! | Variable | |
//! |---|---|
//! | `TARGET_TABLE` | the table to write to |
//! | `TARGET_REGION` | its region, if it is not the function's |
//! | `TARGET_ROLE_ARN` | the role to write as, if it is not the function's: in another account |
//! | `SOURCE_TABLE` | the table whose changes these are: items of late ones are read again, so that a redrive brings back nothing that is gone; records of another table are refused |
//! | `DEAD_LETTER_QUEUE_URL` | the SQS queue for records that cannot be replicated; without it they are retried |

use anabranch::{aws, lambda, sink::table::DynamoDb};
use aws_sdk_dynamodb::Client;
use handlers::{dispatcher, replica_client, routers, setting};

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    lambda::init_logs();
    let target = DynamoDb::new(replica_client().await, setting("TARGET_TABLE")?);
    let source = match setting("SOURCE_TABLE") {
        Ok(table) => Some(DynamoDb::new(Client::new(&aws::load().await), table)),
        Err(_) => None,
    };
    let router = routers::replicate(target, source);
    lambda::run(dispatcher(router).await).await
}
