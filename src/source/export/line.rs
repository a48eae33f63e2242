//! One line of a data file, as a record.

use super::{Kind, error::LineReason};
use crate::record::{
    Timestamp,
    wire::{
        EventWriter, Frame, ItemJson, RecordParts,
        walk::{self, Watched},
    },
};

type Read<T> = Result<T, LineReason>;

/// Marks of what differs from record to record.
const ID: &str = "@id@";
const KEYS: &str = "@keys@";
const NEW: &str = "@new@";
const OLD: &str = "@old@";
/// The time is a number, and this one as good as any.
const TIME: i64 = 1_234_567_890_123_456_789;
const TIME_TEXT: &str = "1234567890.123456789";

/// How the lines of an export become records.
#[derive(Debug)]
pub(super) struct Lines {
    kind: Kind,
    /// The names of the key attributes, as JSON has them between quotes.
    keys: Vec<Vec<u8>>,
    /// The same for compact items; none if a name needs escapes.
    watched: Vec<Watched>,
    row: Frame,
    insert: Frame,
    modify: Frame,
    remove: Frame,
    /// An item of which only is known that it is gone.
    gone: Frame,
}

/// Room that lines share one after another.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    keys: Vec<u8>,
    id: Vec<u8>,
    time: Vec<u8>,
}

impl Lines {
    pub(super) fn new(kind: Kind, table_arn: &str, keys: &[String]) -> Self {
        let item = |mark: &str| ItemJson::from_json(mark);
        let change = |new: bool, old: bool| {
            let (new, old) = (new.then(|| item(NEW)), old.then(|| item(OLD)));
            let change = RecordParts::snapshot_change(item(KEYS), old, new, kind.as_of());
            let created_at = Some(Timestamp::from_nanos(TIME));
            RecordParts { event_id: Some(ID.into()), created_at, source_arn: Some(table_arn.into()), ..change }
        };
        let row = RecordParts::snapshot(item(KEYS), item(NEW), kind.as_of());
        Self {
            kind,
            keys: keys.iter().map(|name| quoted(name)).collect(),
            watched: keys.iter().map(|name| Watched::new(name)).collect::<Option<_>>().unwrap_or_default(),
            row: Frame::of(&RecordParts { source_arn: Some(table_arn.into()), ..row }, &[KEYS, NEW]),
            insert: Frame::of(&change(true, false), &[ID, TIME_TEXT, KEYS, NEW]),
            modify: Frame::of(&change(true, true), &[ID, TIME_TEXT, KEYS, NEW, OLD]),
            remove: Frame::of(&change(false, true), &[ID, TIME_TEXT, KEYS, OLD]),
            gone: Frame::of(&change(false, false), &[ID, TIME_TEXT, KEYS]),
        }
    }

    /// Writes the record that a line stands for; `id` writes what the line of an incremental export is known by.
    pub(super) fn write(
        &self,
        line: &[u8],
        id: impl FnOnce(&mut Vec<u8>),
        scratch: &mut Scratch,
        event: &mut EventWriter,
    ) -> Read<()> {
        match self.kind {
            Kind::Full { .. } => {
                let item = self.row(line, scratch)?;
                event.push_framed(&self.row, [&scratch.keys, item]);
            }
            Kind::Incremental { .. } => {
                scratch.id.clear();
                id(&mut scratch.id);
                self.change(line, scratch, event)?;
            }
        }
        Ok(())
    }

    /// The item of a line; its keys are left in the scratch.
    fn row<'a>(&self, line: &'a [u8], scratch: &mut Scratch) -> Read<&'a [u8]> {
        // As DynamoDB writes it, looked through once.
        if let Some(item) = line.strip_prefix(b"{\"Item\":").and_then(|rest| rest.strip_suffix(b"}"))
            && self.watched_keys_of(item, scratch)
        {
            return Ok(item);
        }
        let item = Members::read(line)?.item.ok_or(LineReason::NoItem)?;
        self.keys_of(item, scratch).map(|()| item)
    }

    /// Writes the key attributes of a compact item; says whether it is whole and has them all.
    fn watched_keys_of(&self, item: &[u8], scratch: &mut Scratch) -> bool {
        let mut keys = KeyWriter::new(&self.keys, &mut scratch.keys);
        let rest = walk::watched(item, &self.watched, &mut |place, value| keys.write(place, value));
        keys.finish() && rest.is_some_and(<[u8]>::is_empty)
    }

    /// The same for any item.
    fn keys_of(&self, item: &[u8], scratch: &mut Scratch) -> Read<()> {
        let mut keys = KeyWriter::new(&self.keys, &mut scratch.keys);
        object(item, |name, value| {
            if let Some(place) = self.keys.iter().position(|key| key == name) {
                keys.write(place, value);
            }
        })?;
        if keys.finish() { Ok(()) } else { Err(LineReason::KeyMissing) }
    }

    fn change(&self, line: &[u8], scratch: &mut Scratch, event: &mut EventWriter) -> Read<()> {
        let members = Members::read(line)?;
        let keys = members.keys.ok_or(LineReason::NoKeys)?;
        // A line without its time says when the window ended.
        let micros = members.written.unwrap_or(self.kind.as_of().as_nanos() / 1_000);
        seconds(micros, &mut scratch.time);
        let (id, time) = (&scratch.id, &scratch.time);
        match (members.new, members.old) {
            (Some(new), Some(old)) => event.push_framed(&self.modify, [id, time, keys, new, old]),
            (Some(new), None) => event.push_framed(&self.insert, [id, time, keys, new]),
            (None, Some(old)) => event.push_framed(&self.remove, [id, time, keys, old]),
            (None, None) => event.push_framed(&self.gone, [id, time, keys]),
        }
        Ok(())
    }
}

/// Writes key attributes, in the order in which they come.
struct KeyWriter<'a> {
    keys: &'a [Vec<u8>],
    json: &'a mut Vec<u8>,
    /// Which of the keys came, by bit: a table has two at most.
    written: u64,
}

impl<'a> KeyWriter<'a> {
    fn new(keys: &'a [Vec<u8>], json: &'a mut Vec<u8>) -> Self {
        json.clear();
        Self { keys, json, written: 0 }
    }

    fn write(&mut self, place: usize, value: &[u8]) {
        self.json.extend_from_slice(if self.written == 0 { b"{\"" } else { b",\"" });
        self.json.extend_from_slice(&self.keys[place]);
        self.json.extend_from_slice(b"\":");
        self.json.extend_from_slice(value);
        self.written |= 1 << (place % 64);
    }

    /// Says whether all came.
    fn finish(self) -> bool {
        self.json.push(b'}');
        self.written.count_ones() as usize == self.keys.len()
    }
}

/// Writes microseconds as a number of seconds.
fn seconds(micros: i64, text: &mut Vec<u8>) {
    use std::io::Write;
    text.clear();
    write!(text, "{}.{:06}", micros / 1_000_000, micros % 1_000_000).expect("memory takes all");
}

/// What a line has.
#[derive(Default)]
struct Members<'a> {
    item: Option<&'a [u8]>,
    keys: Option<&'a [u8]>,
    new: Option<&'a [u8]>,
    old: Option<&'a [u8]>,
    /// In microseconds since 1970.
    written: Option<i64>,
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
fn written(metadata: &[u8]) -> Option<i64> {
    let mut micros = None;
    object(metadata, |name, value| {
        if name == b"WriteTimestampMicros" {
            let digits: Vec<u8> = value.iter().copied().filter(u8::is_ascii_digit).collect();
            micros = str::from_utf8(&digits).ok().and_then(|digits| digits.parse::<i64>().ok());
        }
    })
    .ok()?;
    micros.filter(|micros| *micros < i64::MAX / 1_000)
}

/// Shows each member of a text that is one object.
fn object<'a>(text: &'a [u8], mut show: impl FnMut(&'a [u8], &'a [u8])) -> Read<()> {
    let rest = walk::members(text, &mut |name, value| {
        show(name, value);
        Some(())
    });
    rest.filter(|rest| walk::past_space(rest).is_empty()).map(drop).ok_or(LineReason::NotJson)
}

/// A name as JSON has it, without the quotes.
fn quoted(name: &str) -> Vec<u8> {
    let json = serde_json::to_vec(name).expect("a text is JSON");
    json[1..json.len() - 1].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{EventName, RawRecord, split};

    fn full() -> Lines {
        let kind = Kind::Full { as_of: Timestamp::from_nanos(5_000) };
        Lines::new(kind, "arn:t", &["PK".into(), "SK".into()])
    }

    fn incremental() -> Lines {
        let (from, until) = (Timestamp::from_nanos(5_000), Timestamp::from_nanos(9_000));
        Lines::new(Kind::Incremental { from, until }, "arn:t", &[])
    }

    fn read(lines: &Lines, line: &str) -> Read<RawRecord> {
        let mut event = EventWriter::new();
        let id = |text: &mut Vec<u8>| text.extend_from_slice(b"e/0/1");
        lines.write(line.as_bytes(), id, &mut Scratch::default(), &mut event)?;
        Ok(split(event.finish()).unwrap().next().unwrap().unwrap())
    }

    #[test]
    fn an_item_is_a_row_with_its_keys() {
        for line in [
            r#"{"Item":{"SK":{"S":"s"},"a":{"N":"1"},"PK":{"S":"p"}}}"#,
            " { \"Item\" : {\"SK\":{\"S\":\"s\"} , \"a\":{\"N\":\"1\"},\"PK\":{\"S\":\"p\"}} , \"New\" : [] } ",
        ] {
            let record = read(&full(), line).unwrap();
            assert_eq!(record.keys().json(), br#"{"SK":{"S":"s"},"PK":{"S":"p"}}"#, "{line}");
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
        let lines = Lines::new(full().kind, "arn:t", &["a\"b".into()]);
        let record = read(&lines, r#"{"Item":{"a\"b":{"S":"p"}}}"#).unwrap();
        assert_eq!(record.keys().json(), br#"{"a\"b":{"S":"p"}}"#);
    }
}
