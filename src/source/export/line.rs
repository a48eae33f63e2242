//! One line of a data file, as a record.

use bytes::Bytes;

use super::{Kind, error::LineReason};
use crate::record::{
    Timestamp,
    wire::{ItemJson, RecordParts, walk},
};

type Read<T> = Result<T, LineReason>;

/// How the lines of an export become records.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    pub(super) kind: Kind,
    pub(super) table_arn: String,
    /// The names of the key attributes, as JSON has them between quotes.
    keys: Vec<Vec<u8>>,
}

impl Lines {
    pub(super) fn new(kind: Kind, table_arn: String, keys: &[String]) -> Self {
        Self { kind, table_arn, keys: keys.iter().map(|name| quoted(name)).collect() }
    }

    /// The record that a line stands for; `id` is what an incremental export's line is known by.
    pub(super) fn record(&self, line: &Bytes, id: impl FnOnce() -> String) -> Read<RecordParts<'_>> {
        let members = Members::read(line)?;
        let parts = match self.kind {
            Kind::Full { as_of } => {
                let item = members.item.ok_or(LineReason::NoItem)?;
                RecordParts::snapshot(self.keys_of(item)?, share(line, item), as_of)
            }
            Kind::Incremental { .. } => {
                let keys = members.keys.ok_or(LineReason::NoKeys)?;
                let image = |image: Option<&[u8]>| image.map(|image| share(line, image));
                let (old, new) = (image(members.old), image(members.new));
                let parts = RecordParts::snapshot_change(share(line, keys), old, new, self.kind.as_of());
                RecordParts { event_id: Some(id().into()), created_at: members.written, ..parts }
            }
        };
        Ok(RecordParts { source_arn: Some(self.table_arn.as_str().into()), ..parts })
    }

    /// The key attributes of an item, in the order in which they were named.
    fn keys_of(&self, item: &[u8]) -> Read<ItemJson> {
        let mut found: Vec<Option<&[u8]>> = vec![None; self.keys.len()];
        object(item, |name, value| {
            if let Some(at) = self.keys.iter().position(|key| key == name) {
                found[at] = Some(value);
            }
        })?;
        let mut json = Vec::with_capacity(128);
        for (name, value) in self.keys.iter().zip(found) {
            json.extend_from_slice(if json.is_empty() { b"{\"" } else { b",\"" });
            json.extend_from_slice(name);
            json.extend_from_slice(b"\":");
            json.extend_from_slice(value.ok_or(LineReason::KeyMissing)?);
        }
        json.push(b'}');
        Ok(ItemJson::from_json(json))
    }
}

/// What a line has.
#[derive(Default)]
struct Members<'a> {
    item: Option<&'a [u8]>,
    keys: Option<&'a [u8]>,
    new: Option<&'a [u8]>,
    old: Option<&'a [u8]>,
    written: Option<Timestamp>,
}

impl<'a> Members<'a> {
    fn read(line: &'a [u8]) -> Read<Self> {
        let (mut found, mut metadata) = (Self::default(), None);
        object(line, |name, value| {
            let place = match name {
                b"Item" => &mut found.item,
                b"Keys" => &mut found.keys,
                b"NewImage" => &mut found.new,
                b"OldImage" => &mut found.old,
                b"Metadata" => &mut metadata,
                _ => return,
            };
            // An image that is null or empty is none: items have keys.
            *place = Some(value).filter(|value| value.starts_with(b"{") && !is_empty(value));
        })?;
        found.written = metadata.and_then(written);
        Ok(found)
    }
}

fn is_empty(object: &[u8]) -> bool {
    walk::past_space(&object[1..]).starts_with(b"}")
}

/// `WriteTimestampMicros`: seen as a number, as a string, and as an attribute value. What is none of them is passed over: no
/// version depends on it.
fn written(metadata: &[u8]) -> Option<Timestamp> {
    let mut micros = None;
    object(metadata, |name, value| {
        if name == b"WriteTimestampMicros" {
            let digits: Vec<u8> = value.iter().copied().filter(u8::is_ascii_digit).collect();
            micros = str::from_utf8(&digits).ok().and_then(|digits| digits.parse::<i64>().ok());
        }
    })
    .ok()?;
    micros?.checked_mul(1_000).map(Timestamp::from_nanos)
}

/// Shows each member of a text that is one object.
fn object<'a>(text: &'a [u8], mut show: impl FnMut(&'a [u8], &'a [u8])) -> Read<()> {
    let rest = walk::members(text, &mut |name, value| {
        show(name, value);
        Some(())
    });
    rest.filter(|rest| walk::past_space(rest).is_empty()).map(drop).ok_or(LineReason::NotJson)
}

/// A part of a line, sharing its bytes.
fn share(line: &Bytes, part: &[u8]) -> ItemJson {
    line.slice_ref(part).into()
}

/// A name as JSON has it, without the quotes.
fn quoted(name: &str) -> Vec<u8> {
    let json = serde_json::to_vec(name).expect("a text is JSON");
    json[1..json.len() - 1].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{EventName, RawRecord};

    fn full() -> Lines {
        let kind = Kind::Full { as_of: Timestamp::from_nanos(5_000) };
        Lines::new(kind, "arn:t".into(), &["PK".into(), "SK".into()])
    }

    fn incremental() -> Lines {
        let (from, until) = (Timestamp::from_nanos(5_000), Timestamp::from_nanos(9_000));
        Lines::new(Kind::Incremental { from, until }, "arn:t".into(), &[])
    }

    fn read(lines: &Lines, line: &str) -> Read<RawRecord> {
        let line = Bytes::copy_from_slice(line.as_bytes());
        lines.record(&line, || "e/0/1".into()).map(|record| record.into_record().unwrap())
    }

    #[test]
    fn an_item_is_a_row_with_its_keys() {
        for line in [
            r#"{"Item":{"SK":{"S":"s"},"a":{"N":"1"},"PK":{"S":"p"}}}"#,
            " { \"Item\" : {\"SK\":{\"S\":\"s\"} , \"a\":{\"N\":\"1\"},\"PK\":{\"S\":\"p\"}} , \"New\" : [] } ",
        ] {
            let record = read(&full(), line).unwrap();
            assert_eq!(record.keys().json(), br#"{"PK":{"S":"p"},"SK":{"S":"s"}}"#, "{line}");
            assert_eq!(record.new_image().unwrap().attribute("a").unwrap().as_deref(), Some("1"));
            assert_eq!((record.sequence_number(), record.source_arn(), record.event_id()), ("5", Some("arn:t"), None));
        }
    }

    #[test]
    fn a_change_is_what_its_images_say() {
        let (keys, image) = (r#""Keys":{"PK":{"S":"p"}}"#, r#"{"PK":{"S":"p"},"a":{"N":"1"}}"#);
        for (images, name) in [
            (format!(r#","NewImage":{image}"#), EventName::Insert),
            (format!(r#","OldImage":{image},"NewImage":{image}"#), EventName::Modify),
            (format!(r#","OldImage":{image}"#), EventName::Remove),
            (format!(r#","OldImage":{image},"NewImage":null"#), EventName::Remove),
            (r#","NewImage":{}"#.to_owned(), EventName::Remove),
            (String::new(), EventName::Remove),
        ] {
            for time in [r#"{"N":"7"}"#, r#""7""#, "7"] {
                let line = format!(r#"{{"Metadata":{{"WriteTimestampMicros":{time}}},{keys}{images}}}"#);
                let record = read(&incremental(), &line).unwrap();
                assert_eq!(record.event_name(), name, "{line}");
                assert_eq!(record.created_at(), Some(Timestamp::from_nanos(7_000)));
                assert_eq!((record.sequence_number(), record.event_id()), ("8", Some("e/0/1")));
            }
        }
    }

    #[test]
    fn what_is_no_line_is_refused_for_a_reason() {
        let error = |lines: &Lines, line| read(lines, line).unwrap_err();
        for line in ["", "{", "x", r#"{"Item":{"PK":{"S":"p"}}"#, r#"{"Item":{}} {}"#, r#"{"Item":{"a":[}}}"#, "[]"] {
            assert_eq!(error(&full(), line), LineReason::NotJson, "{line}");
        }
        assert_eq!(error(&full(), r#"{"Keys":{"PK":{"S":"p"}}}"#), LineReason::NoItem);
        assert_eq!(error(&full(), r#"{"Item":{"PK":{"S":"p"}}}"#), LineReason::KeyMissing);
        assert_eq!(error(&incremental(), r#"{"Item":{"PK":{"S":"p"}}}"#), LineReason::NoKeys);
    }

    #[test]
    fn names_with_escapes_are_found() {
        let lines = Lines::new(full().kind, "arn:t".into(), &["a\"b".into()]);
        let record = read(&lines, r#"{"Item":{"a\"b":{"S":"p"}}}"#).unwrap();
        assert_eq!(record.keys().json(), br#"{"a\"b":{"S":"p"}}"#);
    }
}
