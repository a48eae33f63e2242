//! What a router needs to see, as filter patterns.

use serde_json::{Value, json};

use super::{Discriminator, Router};
use crate::record::StreamView;

impl<V: StreamView> Router<V> {
    /// Filter patterns for the event source mapping that deliver what this router has handlers for, and nothing else.
    ///
    /// Put them into `FilterCriteria` of the template, and compare the two in a test: records that are filtered out cost
    /// nothing. None where everything has to be delivered: beside [`every`](Self::every) and [`otherwise`](Self::otherwise),
    /// and where there is nothing to tell entity types apart. Entity types that the router does not know, which it would
    /// reject, are filtered out as well.
    ///
    /// ```
    /// # use anabranch::{handler::Failure, record::Record, router::Router};
    /// # #[derive(serde::Deserialize)] struct Pet { name: String }
    /// # async fn welcome(record: Record<Pet>) {}
    /// let router = Router::by_attribute("entityType").route("PET", welcome).ignore("USER");
    /// let router: Router = router;
    /// assert_eq!(router.filters(), [
    ///     r#"{"dynamodb":{"NewImage":{"entityType":{"S":["PET"]}}}}"#,
    ///     r#"{"dynamodb":{"OldImage":{"entityType":{"S":["PET"]}}}}"#,
    /// ]);
    /// ```
    pub fn filters(&self) -> Vec<String> {
        let names = self.handled();
        if self.every != 0 || self.otherwise.is_some_and(|routes| routes != 0) || names.is_empty() {
            return Vec::new();
        }
        let patterns = match &self.discriminator {
            Discriminator::None => Vec::new(),
            // An item that changes its type is news to both types, so either image will do.
            Discriminator::Attribute(name) => {
                ["NewImage", "OldImage"].map(|image| leaf(image, name, &json!(names))).into()
            }
            Discriminator::KeyPrefix { key, separator } => {
                let prefixes = names.iter().map(|name| json!({"prefix": format!("{name}{separator}")}));
                let alternatives: Vec<Value> = names.iter().map(|name| json!(name)).chain(prefixes).collect();
                vec![leaf("Keys", key, &json!(alternatives))]
            }
        };
        patterns.iter().map(Value::to_string).collect()
    }

    /// The entity types that have handlers, in alphabetical order.
    fn handled(&self) -> Vec<&str> {
        let handled = self.entities.iter().filter(|(_, routes)| *routes != 0);
        let mut names: Vec<&str> = handled.map(|(name, _)| &**name).collect();
        names.sort_unstable();
        names
    }
}

fn leaf(part: &str, attribute: &str, alternatives: &Value) -> Value {
    json!({"dynamodb": {part: {attribute: {"S": alternatives}}}})
}

#[cfg(test)]
mod tests {
    use crate::{
        pattern::FilterCriteria,
        record::{KeysOnly, NewAndOldImages, Record},
    };

    use super::*;

    #[derive(serde::Deserialize)]
    struct Pet {}

    async fn handle(_: Record<Pet>) {}
    async fn handle_keys(_: Record<Pet, KeysOnly>) {}

    fn by_attribute() -> Router {
        Router::by_attribute("entityType")
    }

    #[test]
    fn what_takes_everything_has_no_filter() {
        assert!(Router::<NewAndOldImages>::new().every(handle).filters().is_empty());
        assert!(by_attribute().route("PET", handle).otherwise(handle).filters().is_empty());
        assert!(by_attribute().route("PET", handle).every(handle).filters().is_empty());
    }

    #[test]
    fn entities_without_handlers_are_left_out() {
        let router = by_attribute().route("PET", handle).route("ACTIVITY", handle).ignore("USER").ignore_others();
        assert_eq!(router.filters()[0], r#"{"dynamodb":{"NewImage":{"entityType":{"S":["ACTIVITY","PET"]}}}}"#);
    }

    /// What a filter lets pass is what the router has handlers for, in whatever view and change.
    #[test]
    fn filters_deliver_what_is_routed() {
        let attribute = by_attribute().route("PET", handle).ignore_others().filters();
        let prefix = Router::<KeysOnly>::by_key_prefix("SK", '#').route("PET", handle_keys).ignore_others().filters();
        for (new, old, delivered) in [
            (Some("PET"), None, true),
            (None, Some("PET"), true),
            (Some("USER"), Some("PET"), true),
            (Some("USER"), Some("USER"), false),
            (Some("PETS"), None, false),
        ] {
            assert_eq!(passes(&attribute, &images(new, old)), delivered, "{new:?} {old:?}");
        }
        for (key, delivered) in [("PET#1", true), ("PET", true), ("PETS#1", false), ("USER#PET#1", false)] {
            let keys = json!({"SK": {"S": key}});
            assert_eq!(passes(&prefix, &json!({"Keys": keys, "SequenceNumber": "1"})), delivered, "{key}");
        }
    }

    fn images(new: Option<&str>, old: Option<&str>) -> Value {
        let image = |name| json!({"entityType": {"S": name}});
        let mut change = json!({"Keys": {"SK": {"S": "x"}}, "SequenceNumber": "1"});
        for (key, name) in [("NewImage", new), ("OldImage", old)] {
            if let Some(name) = name {
                change[key] = image(name);
            }
        }
        change
    }

    fn passes(filters: &[String], change: &Value) -> bool {
        let record = json!({"eventName": "MODIFY", "dynamodb": change}).to_string();
        FilterCriteria::parse(filters).expect("patterns").matches_json(record.as_bytes()).expect("a record")
    }
}
