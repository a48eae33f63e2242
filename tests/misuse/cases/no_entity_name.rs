//! A record type without an entity name.

use anabranch::{handler::Failure, record::Record, router::Router};

#[derive(serde::Deserialize)]
struct Pet {
    name: String,
}

async fn welcome(_: Record<Pet>) -> Result<(), Failure> {
    Ok(())
}

fn main() {
    let _router = Router::by_attribute("entityType").on(welcome);
}
