//! A handler that returns what is no verdict.

use anabranch::{
    record::{Entity, Record},
    router::Router,
};

#[derive(serde::Deserialize)]
struct Pet {
    name: String,
}

impl Entity for Pet {
    const NAME: &'static str = "PET";
}

async fn welcome(_: Record<Pet>) -> bool {
    true
}

fn main() {
    let _router = Router::by_attribute("entityType").on(welcome);
}
