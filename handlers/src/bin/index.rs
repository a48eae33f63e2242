//! Keeps PetTracker's search indexes: pets and activities.
//!
//! | Variable | |
//! |---|---|
//! | `SEARCH_ENDPOINT` | the address of OpenSearch or Elasticsearch; requests to AWS's own endpoints are signed |
//! | `SEARCH_USER`, `SEARCH_PASSWORD` | basic authentication, elsewhere |
//! | `DEAD_LETTER_QUEUE_URL` | the SQS queue for records that cannot be indexed; without it they are retried |

use anabranch::lambda;
use handlers::{dispatcher, routers, search_server};

#[tokio::main]
async fn main() -> Result<(), lambda::Error> {
    lambda::init_logs();
    let router = routers::index(search_server().await?);
    lambda::run(dispatcher(router).await).await
}
