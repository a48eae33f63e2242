//! Keeps a copy of a table in another table: in another region, or beside it.
//!
//! | Variable | |
//! |---|---|
//! | `TARGET_TABLE` | the table to write to |
//! | `TARGET_REGION` | its region, if it is not the function's |
//! | `TARGET_ROLE_ARN` | the role to write as, if it is not the function's: in another account |
//! | `DEAD_LETTER_QUEUE_URL` | the SQS queue for records that cannot be replicated; without it they are retried |

use anabranch::{lambda, sink::table::DynamoDb};
use handlers::{dispatcher, replica_client, routers, setting};

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    lambda::init_logs();
    let target = DynamoDb::new(replica_client().await, setting("TARGET_TABLE")?);
    let router = routers::replicate(target);
    lambda::run(dispatcher(router).await).await
}
