//! The rows: ways to get through a batch.

#![allow(dead_code, reason = "each benchmark uses its own part of the support code")]

use std::{future::ready, hint::black_box};

use anabranch::{
    dispatch::Dispatcher,
    handler::{Context, Failure},
    record::{Change, KeysOnly, NewAndOldImages, RawImage, Record},
    router::Router,
};
use aws_lambda_events::dynamodb::{Event, EventRecord};
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use serde_dynamo::Item;

use super::{
    batches::Batch,
    types::{ActivityEntity, Keys, KeysRef, Pet, PetEntity, PetRef, Photo, PhotoRef, UserEntity},
};

/// Runs one row over one batch.
pub(crate) fn run(row: &str, batch: &str, Batch { body, records }: Batch) {
    match (row, batch) {
        ("ignored_any", _) => measured(|| _ = serde_json::from_slice::<serde::de::IgnoredAny>(&body).expect("JSON")),
        ("today", _) => measured(|| run_today(batch, &body)),
        (row, batch) => {
            let dispatcher = dispatcher(row, batch);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
            let (body, context) = (Bytes::from(body), Context::default());
            let report = measured(|| runtime.block_on(dispatcher.dispatch(body, &context))).expect("a stream event");
            assert!(report.unfinished.is_none(), "{report:?}");
            assert_eq!(report.applied + report.skipped_total(), records, "every record is done with");
        }
    }
}

/// The function whose instructions are counted.
#[inline(never)]
fn measured<R>(work: impl FnOnce() -> R) -> R {
    black_box(work())
}

/// Today's way through a batch.
pub(crate) fn run_today(batch: &str, body: &[u8]) {
    match batch {
        "K" => today(body, |record| _ = black_box(read::<Keys>(record.change.keys))),
        "C" => today(body, images::<Photo>),
        "M" => today(body, by_entity),
        _ => today(body, images::<Pet>),
    }
}

/// What a Rust function does today: the runtime's decode with path tracking, the event's structs, and an item each.
fn today(body: &[u8], handle: impl Fn(EventRecord)) {
    let mut json = serde_json::Deserializer::from_slice(body);
    let event: Event = serde_path_to_error::deserialize(&mut json).expect("a stream event");
    event.records.into_iter().for_each(handle);
}

fn read<T: DeserializeOwned>(item: Item) -> Option<T> {
    (!item.is_empty()).then(|| serde_dynamo::from_item(item).expect("decodes"))
}

pub(crate) fn images<T: DeserializeOwned>(record: EventRecord) {
    black_box((read::<T>(record.change.new_image), read::<T>(record.change.old_image)));
}

fn by_entity(record: EventRecord) {
    let image = if record.change.new_image.is_empty() { &record.change.old_image } else { &record.change.new_image };
    let Some(serde_dynamo::AttributeValue::S(entity)) = image.get("entityType") else { panic!("an entity") };
    match entity.as_str() {
        "PET" => images::<PetEntity>(record),
        "ACTIVITY" => images::<ActivityEntity>(record),
        _ => images::<UserEntity>(record),
    }
}

/// A dispatcher whose handlers do nothing with what they are given.
pub(crate) fn dispatcher(row: &str, batch: &str) -> Dispatcher {
    match (row, batch) {
        ("owned", "A") => Router::<NewAndOldImages>::new().every(owned::<Pet>).into(),
        ("owned", "C") => Router::<NewAndOldImages>::new().every(owned::<Photo>).into(),
        ("owned", "M") => Router::by_attribute("entityType")
            .on(owned::<PetEntity>)
            .on(owned::<ActivityEntity>)
            .on(owned::<UserEntity>)
            .into(),
        ("owned", "K") => Router::<KeysOnly>::new().every(keys_owned).into(),
        ("borrowed", "A") => Router::<NewAndOldImages>::new().every(borrowed_pet).into(),
        ("borrowed", "C") => Router::<NewAndOldImages>::new().every(borrowed_photo).into(),
        ("borrowed", "M") => {
            let router = Router::by_attribute("entityType");
            router.route("PET", borrowed_pet).route("ACTIVITY", borrowed_pet).route("USER", borrowed_pet).into()
        }
        ("borrowed", "K") => Router::<KeysOnly>::new().every(keys_borrowed).into(),
        ("filtered", _) => Router::<KeysOnly>::by_key_prefix("SK", '#').ignore("PET").into(),
        (row, batch) => panic!("no row {row} for batch {batch}"),
    }
}

fn owned<T: Send + 'static>(record: Record<T>) -> std::future::Ready<()> {
    black_box(&record);
    ready(())
}

fn keys_owned(record: Record<RawImage, KeysOnly>) -> std::future::Ready<Result<(), Failure>> {
    ready(record.keys().decode::<Keys>().map(|keys| drop(black_box(keys))).map_err(Failure::reject))
}

fn keys_borrowed(record: Record<RawImage, KeysOnly>) -> std::future::Ready<Result<(), Failure>> {
    ready(record.keys().decode::<KeysRef<'_>>().map(|keys| _ = black_box(keys)).map_err(Failure::reject))
}

fn borrowed_pet(record: Record<RawImage>) -> std::future::Ready<Result<(), Failure>> {
    ready(both(&record, |image| view::<PetRef<'_>>(image)))
}

fn borrowed_photo(record: Record<RawImage>) -> std::future::Ready<Result<(), Failure>> {
    ready(both(&record, |image| view::<PhotoRef<'_>>(image)))
}

fn view<'a, T: Deserialize<'a>>(image: &'a RawImage) -> Result<(), Failure> {
    image.read::<T>().map(|view| _ = black_box(view)).map_err(Failure::reject)
}

fn both(record: &Record<RawImage>, view: impl Fn(&RawImage) -> Result<(), Failure>) -> Result<(), Failure> {
    match &record.change {
        Change::Insert { new } => view(new),
        Change::Modify { old, new } => view(old).and_then(|()| view(new)),
        Change::Remove { old } => view(old),
    }
}
