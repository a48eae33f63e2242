//! Which items DynamoDB's time to live deletes.

use std::time::SystemTime;

use crate::{
    record::{Image, Timestamp},
    sink::table::{AttributeValue, Item},
};

/// Five years, in the days of the shortest: what is left out by mistake would never come, and what is brought by mistake is deleted.
const OLDEST_SECONDS: f64 = (5 * 365 * 24 * 60 * 60) as f64;

/// Whether DynamoDB deletes an item whose time to live is this attribute: now, or within a few days.
///
/// The time is an attribute of type Number, in seconds since 1970, that is less than the current time, and no more than five
/// years in the past. Whatever has any other stays for ever. So DynamoDB's developer guide has it, under [Using Time to
/// Live](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-before-you-start.html), and its reference of
/// [`UpdateTimeToLive`](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTimeToLive.html).
pub(super) fn is_expired(item: &Item, attribute: &str, now: SystemTime) -> bool {
    matches!(item.get(attribute), Some(AttributeValue::N(seconds)) if has_passed(seconds, now))
}

/// The same of an item as a page has it.
pub(super) fn is_image_expired(image: Image<'_>, attribute: &str, now: SystemTime) -> bool {
    // A text may look like a number. Few items have expired, and only of those it is asked which it is.
    let text = image.attribute(attribute).ok().flatten();
    text.is_some_and(|text| has_passed(&text, now)) && image.item().is_ok_and(|item| is_expired(&item, attribute, now))
}

fn has_passed(seconds: &str, now: SystemTime) -> bool {
    let now = Timestamp::from(now).as_secs() as f64;
    seconds.parse::<f64>().is_ok_and(|seconds| (now - OLDEST_SECONDS..now).contains(&seconds))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::sink::table::{item, text};

    #[test]
    fn what_dynamodb_deletes_and_nothing_else() {
        let (second, year) = (1_763_692_800_u64, 365 * 24 * 60 * 60);
        let now = UNIX_EPOCH + Duration::from_millis(1000 * second + 400);
        let number = |seconds: u64| AttributeValue::N(seconds.to_string());
        let cases = [
            (number(second - 1), true),
            (AttributeValue::N("1763692799.5".into()), true),
            (number(second), false),
            (number(second + 86_400), false),
            (number(second - 5 * year), true),
            (number(second - 5 * year - 1), false),
            (number(second - 6 * year), false),
            (number(0), false),
            (AttributeValue::N("-1".into()), false),
            (text((second - 1).to_string()), false),
            (AttributeValue::L(vec![number(second - 1)]), false),
            (AttributeValue::Null(true), false),
        ];
        for (value, expired) in cases {
            assert_eq!(
                is_expired(&item([("PK", text("a")), ("ttl", value.clone())]), "ttl", now),
                expired,
                "{value:?}"
            );
        }
        assert!(!is_expired(&item([("PK", text("a"))]), "ttl", now));
    }
}
