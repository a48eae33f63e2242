//! Damage is one record's failure: its neighbours are read as if it were not there, and no byte is lost.

use std::ops::Range;

use bytes::Bytes;
use proptest::{collection, prelude::*};
use serde_dynamo::AttributeValue;

use super::{
    super::{RecordReason, split},
    generate::{self, Layout},
};

const BEGINNING: &[u8] = b"{\"Records\":[";

/// One yielded item: where it stands, whether it could be read, and its sequence number.
#[derive(Debug, Clone, PartialEq)]
struct Yielded {
    range: Range<usize>,
    readable: bool,
    sequence_number: Option<String>,
}

fn yielded(payload: &Bytes) -> Vec<Yielded> {
    let mut end = BEGINNING.len();
    // By content: a record whose envelope has escapes stands in a buffer of its own.
    let mut place = |json: &[u8]| {
        let start = end + memchr::memmem::find(&payload[end..], json).unwrap();
        end = start + json.len();
        start..end
    };
    let records = split(payload.clone()).unwrap();
    let items = records.map(|record| match record {
        Ok(record) => Yielded {
            range: place(record.json()),
            readable: true,
            sequence_number: Some(record.sequence_number().to_owned()),
        },
        Err(record) => Yielded {
            range: place(record.json()),
            readable: false,
            sequence_number: record.sequence_number().map(str::to_owned),
        },
    });
    items.collect()
}

/// The record with this sequence number, and the range of its new image.
fn record(
    sequence: usize,
    item: &std::collections::HashMap<String, AttributeValue>,
    layout: Option<u64>,
) -> (String, Range<usize>) {
    let image = generate::json(item, layout.map_or_else(Layout::compact, Layout::random));
    let before = format!(
        r#"{{"eventID":"id{sequence}","eventName":"INSERT","eventSource":"aws:dynamodb","dynamodb":{{"NewImage":"#
    );
    let after = format!(r#","SequenceNumber":"{sequence}","SizeBytes":9}},"eventSourceARN":"arn"}}"#);
    let range = before.len()..before.len() + image.len();
    (format!("{before}{image}{after}"), range)
}

/// A batch of records, and where each record and each image stands.
fn batch(records: &[(String, Range<usize>)], separator: &str) -> (Vec<u8>, Vec<Range<usize>>, Vec<Range<usize>>) {
    let mut json = BEGINNING.to_vec();
    let (mut places, mut images) = (Vec::new(), Vec::new());
    for (index, (record, image)) in records.iter().enumerate() {
        json.extend_from_slice(if index > 0 { separator.as_bytes() } else { b"" });
        places.push(json.len()..json.len() + record.len());
        images.push(json.len() + image.start..json.len() + image.end);
        json.extend_from_slice(record.as_bytes());
    }
    json.extend_from_slice(b"]}");
    (json, places, images)
}

#[derive(Debug, Clone)]
enum Damage {
    Replace(u8),
    Insert(u8),
    Delete(usize),
    Cut,
}

fn damage() -> impl Strategy<Value = Damage> {
    let byte = || prop_oneof![any::<u8>(), proptest::sample::select(br#"{}[]",:\"#.to_vec())];
    prop_oneof![
        byte().prop_map(Damage::Replace),
        byte().prop_map(Damage::Insert),
        (1usize..9).prop_map(Damage::Delete),
        Just(Damage::Cut),
    ]
}

impl Damage {
    /// Damages a place inside of an image; the image's first brace stays.
    fn apply(&self, json: &mut Vec<u8>, image: &Range<usize>, at: proptest::sample::Index) {
        let at = image.start + 1 + at.index(image.len() - 1);
        match *self {
            Self::Replace(byte) => json[at] = byte,
            Self::Insert(byte) => json.insert(at, byte),
            Self::Delete(count) => drop(json.drain(at..(at + count).min(image.end))),
            Self::Cut => drop(json.drain(at..image.end)),
        }
    }
}

proptest! {
    #[test]
    fn damage_in_an_image_stays_with_its_record(
        items in collection::vec(generate::item(), 1..5), layout: Option<u64>, damage in damage(), victim: proptest::sample::Index,
        at: proptest::sample::Index, separator in "(,| , |,\n  )",
    ) {
        let records: Vec<_> = items.iter().enumerate().map(|(index, item)| record(index + 100, item, layout)).collect();
        let (whole, places, images) = batch(&records, &separator);
        let victim = victim.index(records.len());
        let mut json = whole.clone();
        damage.apply(&mut json, &images[victim], at);
        let shift = json.len() as isize - whole.len() as isize;
        let payload = Bytes::from(json);
        let read = yielded(&payload);

        prop_assert_eq!(read.len(), records.len(), "{}", String::from_utf8_lossy(&payload));
        for (index, (item, place)) in read.iter().zip(&places).enumerate() {
            let moved = |at: usize| if index > victim { at.strict_add_signed(shift) } else { at };
            let end = if index == victim { place.end.strict_add_signed(shift) } else { moved(place.end) };
            prop_assert_eq!(&item.range, &(moved(place.start)..end));
            prop_assert!(item.readable || index == victim);
            // An attribute named like a field of the envelope can make it uncertain whose number was found.
            let telling = ["eventID", "SequenceNumber"].iter().any(|name| records[index].0[records[index].1.clone()].contains(name));
            let uncertain = index == victim && telling && item.sequence_number.is_none();
            prop_assert!(uncertain || item.sequence_number == Some((index + 100).to_string()));
        }
    }

    #[test]
    fn whatever_happens_no_byte_of_the_records_is_lost(
        items in collection::vec(generate::item(), 1..5), wounds in collection::vec((damage(), any::<proptest::sample::Index>()), 1..4),
    ) {
        let records: Vec<_> = items.iter().enumerate().map(|(index, item)| record(index + 100, item, None)).collect();
        let (mut json, places, _) = batch(&records, ",");
        for (damage, at) in wounds {
            let end = json.len() - 2;
            if end > places[0].start + 1 {
                damage.apply(&mut json, &(places[0].start..end), at);
            }
        }
        let payload = Bytes::from(json);
        // Damage to both `eventSource` and `dynamodb` may look like another service's event: the whole invocation fails then.
        prop_assume!(split(payload.clone()).is_ok());
        let read = yielded(&payload);
        let mut end = places[0].start;
        for item in &read {
            let gap = &payload[end..item.range.start];
            prop_assert!(gap.iter().all(|byte| b" \n\t\r,".contains(byte)), "{:?}", String::from_utf8_lossy(gap));
            end = item.range.end;
        }
        let rest = payload[end..].trim_ascii();
        // A comma without a record behind it is a record without a byte.
        let whole_end = rest == b"]}" || rest == b",]}" || rest.is_empty();
        let mut records = split(payload.clone()).unwrap();
        records.by_ref().for_each(drop);
        prop_assert!(whole_end || records.finish().is_err(), "{:?} in {:?}", String::from_utf8_lossy(rest), String::from_utf8_lossy(&payload));
        // Where damage has joined two records, their number must not be told as the later one's.
        let numbers: Vec<_> = read.iter().filter_map(|item| item.sequence_number.as_deref()).filter(|number| number.len() == 3).collect();
        prop_assert!(numbers.is_sorted() || read.iter().all(|item| item.readable));
    }

    #[test]
    fn mutated_bytes_never_panic(items in collection::vec(generate::item(), 1..3), cuts in collection::vec(any::<(proptest::sample::Index, u8)>(), 0..8), end: proptest::sample::Index) {
        let records: Vec<_> = items.iter().enumerate().map(|(index, item)| record(index + 100, item, Some(7))).collect();
        let (mut json, ..) = batch(&records, " ,");
        for (at, byte) in cuts {
            let at = at.index(json.len());
            json[at] = byte;
        }
        json.truncate(end.index(json.len()) + 1);
        if let Ok(mut records) = split(json.into()) {
            for record in records.by_ref().flatten() {
                let _ = (record.lane(), record.cause(), record.new_image().map(|image| image.item()));
            }
            let _ = records.finish();
        }
    }
}

/// The outcome of a batch of three records whose second is `middle`.
fn around(middle: &str) -> (Vec<Yielded>, Bytes) {
    let fine =
        |sequence: usize| record(sequence, &[("a".to_owned(), AttributeValue::S("x".to_owned()))].into(), None).0;
    let payload = Bytes::from(format!(r#"{{"Records":[{},{middle},{}]}}"#, fine(1), fine(3)));
    (yielded(&payload), payload)
}

#[test]
fn typical_damage_leaves_the_neighbours_alone() {
    let change = |image: &str| {
        format!(
            r#"{{"eventID":"e","eventName":"INSERT","dynamodb":{{"NewImage":{image},"SequenceNumber":"2"}},"eventSourceARN":"arn"}}"#
        )
    };
    for middle in [
        change(r#"{"a":{"S":"tru"#),
        change(r#"{"a":{"S":"x"}"#),
        change(r#"{"a":{"S":"x"}}}"#),
        change(r#"{"a":{"L":[{"S":"x"}}}}},{"S":"y"}]}}"#),
        change(r#"{"a":{"L":[{"S":"x"}]}}]}]"#),
        change(r#"{"a":{"S":x"}}"#),
        change("null null"),
        change(r#"{"a":{"S":"]},{\"eventID\":\"fake\",\"dynamodb\":{"}} oops"#),
        r#"{"eventID":"e","eventName":"INSERT","dynamodb":{"NewImage":{"SequenceNumber":{"S":"666"}},"SequenceNumber" : "2""#.to_owned(),
    ] {
        let (read, payload) = around(&middle);
        let numbers: Vec<_> = read.iter().map(|item| (item.readable, item.sequence_number.as_deref())).collect();
        assert_eq!(numbers, [(true, Some("1")), (false, Some("2")), (true, Some("3"))], "{middle}");
        assert_eq!(payload[read[1].range.clone()], *middle.as_bytes());
    }
}

#[test]
fn elements_that_are_no_records_are_their_own_failure() {
    for middle in ["null", "17", "[]", "{}", r#"{"unknown":1}"#, r#"[{"eventName":"INSERT"}]"#] {
        let (read, payload) = around(middle);
        assert_eq!(read.iter().map(|item| item.readable).collect::<Vec<_>>(), [true, false, true], "{middle}");
        assert_eq!(payload[read[1].range.clone()], *middle.as_bytes());
        assert_eq!(read[1].sequence_number, None);
    }
}

#[test]
fn a_cut_payload_fails_its_last_record_and_the_invocation() {
    let (_, payload) = around(&record(2, &[("a".to_owned(), AttributeValue::N("1".to_owned()))].into(), None).0);
    for length in 13..payload.len() - 1 {
        let mut records = split(payload.slice(..length)).unwrap();
        let read: Vec<_> = records.by_ref().collect();
        assert!(read.iter().rev().skip(1).all(Result::is_ok), "{length}");
        let last = read.last().unwrap();
        let whole = payload[..length].ends_with(b"]");
        assert_eq!(last.is_ok(), whole, "{length}");
        if let Err(last) = last {
            assert_eq!(*last.error().reason(), RecordReason::Truncated, "{length}");
        }
        assert!(records.finish().is_err());
    }
}

#[test]
fn numbers_of_joined_records_are_told_only_if_certain() {
    let (one, two) =
        (r#"{"eventID":"1","dynamodb":{"SequenceNumber":"1"}"#, r#""eventID":"2","dynamodb":{"SequenceNumber":"2"}}"#);
    let joined = |middle: String| around(&middle).0[1].sequence_number.clone();
    assert_eq!(joined(format!("{one},{two}")).as_deref(), Some("1"), "both are there: the first is the first");
    assert_eq!(joined(format!("{},{two}", one.replace("Number", "Nmber"))), None, "whose is the second?");
    assert_eq!(joined(format!("{},{two}", one.replace("\"1\"}", "\"1x\"}"))), None);
}

#[test]
fn invalid_utf8_fails_where_it_is_read() {
    let middle = record(2, &[("a".to_owned(), AttributeValue::S("????".to_owned()))].into(), None).0;
    let (_, payload) = around(&middle);
    let mut bytes = payload.to_vec();
    let at = memchr::memmem::find(&bytes, b"????").unwrap();
    bytes[at + 1] = 0xff;
    let records: Vec<_> = split(bytes.clone().into()).unwrap().map(Result::unwrap).collect();
    let images: Vec<_> =
        records.iter().map(|record| record.new_image().unwrap().item().map_err(|error| error.to_string())).collect();
    assert_eq!(images[1].as_ref().unwrap_err(), "Records[1].dynamodb.NewImage.a.S: invalid UTF-8");
    assert!(images[0].is_ok() && images[2].is_ok());

    let at = memchr::memmem::find(&bytes, b"id2").unwrap();
    bytes[at] = 0xff;
    let reasons: Vec<_> = split(bytes.into())
        .unwrap()
        .map(|record| record.map(|_| ()).map_err(|record| record.error().to_string()))
        .collect();
    assert_eq!(
        reasons[1].as_ref().unwrap_err(),
        "Records[1].eventID: the string is not valid UTF-8 or has a broken escape"
    );
    assert!(reasons[0].is_ok() && reasons[2].is_ok());
}
