//! A handler whose future is not `Send`.

use std::rc::Rc;

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

async fn count(_: Record<Pet>) -> Result<(), Failure> {
    let counter = Rc::new(1);
    std::future::ready(()).await;
    drop(counter);
    Ok(())
}

fn main() {
    let _router = Router::by_attribute("entityType").on(count);
}
