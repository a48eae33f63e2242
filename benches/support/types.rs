//! What the batches decode into: owned, and borrowed from the payload.

#![allow(dead_code, reason = "the fields are there to be decoded, not to be read")]

use std::borrow::Cow;

use anabranch::record::Entity;
use serde::{Deserialize, Deserializer, de::Visitor};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pet {
    #[serde(rename = "PK")]
    pk: String,
    #[serde(rename = "SK")]
    sk: String,
    entity_type: String,
    name: String,
    species: String,
    weight_kg: f64,
    age_years: u32,
    vaccinated: bool,
    tags: Vec<String>,
    address: Address,
    visits: Vec<Visit>,
    owner_note: Option<String>,
    timestamp: String,
}

#[derive(Deserialize)]
struct Address {
    street: String,
    city: String,
    zip: String,
}

#[derive(Deserialize)]
struct Visit {
    at: String,
    cost: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PetRef<'a> {
    #[serde(rename = "PK", borrow)]
    pk: &'a str,
    #[serde(rename = "SK")]
    sk: &'a str,
    entity_type: &'a str,
    name: &'a str,
    species: &'a str,
    weight_kg: f64,
    age_years: u32,
    vaccinated: bool,
    tags: Vec<&'a str>,
    address: AddressRef<'a>,
    visits: Vec<VisitRef<'a>>,
    owner_note: Option<&'a str>,
    timestamp: &'a str,
}

#[derive(Deserialize)]
struct AddressRef<'a> {
    #[serde(borrow)]
    street: &'a str,
    city: &'a str,
    zip: &'a str,
}

#[derive(Deserialize)]
struct VisitRef<'a> {
    #[serde(borrow)]
    at: &'a str,
    cost: f64,
}

/// The keys of a record, for batches without images.
#[derive(Deserialize)]
pub(crate) struct Keys {
    #[serde(rename = "PK")]
    pk: String,
    #[serde(rename = "SK")]
    sk: String,
}

#[derive(Deserialize)]
pub(crate) struct KeysRef<'a> {
    #[serde(rename = "PK", borrow)]
    pk: &'a str,
    #[serde(rename = "SK")]
    sk: &'a str,
}

/// An item of batch C.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Photo {
    #[serde(rename = "PK")]
    pk: String,
    #[serde(rename = "SK")]
    sk: String,
    entity_type: String,
    width: u32,
    photo: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PhotoRef<'a> {
    #[serde(rename = "PK", borrow)]
    pk: Cow<'a, str>,
    #[serde(rename = "SK", borrow)]
    sk: Cow<'a, str>,
    #[serde(borrow)]
    entity_type: Cow<'a, str>,
    width: u32,
    photo: Bytes,
}

/// Binary, read as bytes: base64 leaves nothing to borrow.
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Owned;
        impl Visitor<'_> for Owned {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Owned)
    }
}

macro_rules! entity {
    ($($name:ident = $entity:literal),*) => {
        $(
            pub(crate) struct $name(Pet);

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    Pet::deserialize(deserializer).map(Self)
                }
            }

            impl Entity for $name {
                const NAME: &'static str = $entity;
            }
        )*
    };
}

entity!(PetEntity = "PET", ActivityEntity = "ACTIVITY", UserEntity = "USER");
