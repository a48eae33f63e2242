//! A handler whose view the router cannot supply.

use anabranch::{
    handler::Failure,
    record::{Entity, NewImage, Record},
    router::Router,
};

#[derive(serde::Deserialize)]
struct Pet {
    name: String,
}

impl Entity for Pet {
    const NAME: &'static str = "PET";
}

async fn compare(record: Record<Pet>) -> Result<(), Failure> {
    Ok(())
}

fn main() {
    let _router = Router::<NewImage>::by_key_prefix("SK", '#').on(compare);
}
