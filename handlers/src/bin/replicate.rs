//! Keeps a copy of a table in another table: in another region, or beside it.
//!
//! | Variable | |
//! |---|---|
//! | `TARGET_TABLE` | the table to write to |
//! | `TARGET_REGION` | its region, if it is not the function's |
//! | `TARGET_ROLE_ARN` | the role to write as, if it is not the function's: in another account |
//! | `DEAD_LETTER_QUEUE_URL` | the SQS queue for records that cannot be replicated; without it they are retried |

use std::env;

use anabranch::{
    aws::Role,
    dispatch::Dispatcher,
    lambda,
    sink::{dead_letter::Sqs, table::DynamoDb},
};
use handlers::{routers, setting};

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    lambda::init_logs();
    let (region, role) = (env::var("TARGET_REGION").ok(), setting("TARGET_ROLE_ARN").ok().map(Role::new));
    let target = DynamoDb::connect_as(setting("TARGET_TABLE")?, region, role.as_ref()).await;
    let router = routers::replicate(target);
    let app = match env::var("DEAD_LETTER_QUEUE_URL") {
        Ok(queue) => Dispatcher::with_dead_letters(router, Sqs::from_env(queue).await),
        Err(_) => Dispatcher::new(router),
    };
    lambda::run(app).await
}
