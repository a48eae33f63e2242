//! Keeps PetTracker's views: a leaderboard, a daily summary of each pet, and how many pets there are of each species.
//!
//! | Variable | |
//! |---|---|
//! | `VIEW_TABLE` | the table that the views are in: keys `PK` and `SK`, time to live on `anabranchExpires` |
//! | `DEAD_LETTER_QUEUE_URL` | the SQS queue for records that no view can take; without it they are retried |

use anabranch::{lambda, sink::table::DynamoDb};
use handlers::{dispatcher, routers, setting};

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    lambda::init_logs();
    let table = DynamoDb::connect(setting("VIEW_TABLE")?, None).await;
    let router = routers::materialize(table);
    lambda::run(dispatcher(router).await).await
}
