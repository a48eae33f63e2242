//! A handler function without `async`.

use anabranch::{
    handler::Failure,
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

fn welcome(_: Record<Pet>) -> Result<(), Failure> {
    Ok(())
}

fn main() {
    let _router = Router::by_attribute("entityType").on(welcome);
}
