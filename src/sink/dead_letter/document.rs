//! The one JSON form of a letter, written by every adapter and read back for redrive.

use std::{
    borrow::Cow,
    io::{Read, Write},
};

use base64_simd::STANDARD as BASE64;
use bytes::Bytes;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{DeadLetter, DeadLetterError};

/// The name and version of the document's form, in its field `schema`.
pub const SCHEMA: &str = "anabranch.dead-letter/1";

/// More than any record can take, so that a hostile document cannot fill the memory.
const RECORD_LIMIT: u64 = 32 * 1024 * 1024;

/// How the field `record` holds the record's bytes.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// As it is: the record is valid JSON.
    #[serde(rename = "json")]
    Json,
    /// As base64 text: the record is not valid JSON, or not on one line.
    #[serde(rename = "base64")]
    Base64,
    /// As base64 text of its gzip form: the document would not fit otherwise.
    #[serde(rename = "gzip+base64")]
    Gzip,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a, R> {
    #[serde(borrow)]
    schema: Cow<'a, str>,
    #[serde(borrow)]
    function: Cow<'a, str>,
    #[serde(borrow)]
    reason: Cow<'a, str>,
    time: String,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    event_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    sequence_number: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    event_source_arn: Option<Cow<'a, str>>,
    encoding: Encoding,
    record: R,
}

impl DeadLetter {
    /// The letter as one line of JSON, whatever its size.
    pub fn to_json(&self) -> String {
        match verbatim(&self.record) {
            Some(record) => self.render(Encoding::Json, record),
            None => self.render(Encoding::Base64, &BASE64.encode_to_string(&self.record)),
        }
    }

    /// The letter as one line of at most `limit` bytes of JSON, its record compressed if need be.
    ///
    /// # Errors
    /// [`DeadLetterError::TooLarge`] if even that is too long. Nothing is ever cut.
    pub fn to_json_within(&self, limit: usize) -> Result<String, DeadLetterError> {
        let plain = self.to_json();
        if plain.len() <= limit {
            return Ok(plain);
        }
        let record = BASE64.encode_to_string(compressed(&self.record));
        let small = self.render(Encoding::Gzip, &record);
        match small.len().min(plain.len()) {
            size if size > limit => Err(DeadLetterError::TooLarge { size, limit }),
            _ => Ok(small),
        }
    }

    /// Reads a letter back, with its record byte for byte as it was.
    ///
    /// # Errors
    /// [`DeadLetterError::Unreadable`] if the text is not a document of form [`SCHEMA`].
    pub fn from_json(document: &str) -> Result<Self, DeadLetterError> {
        let document: Document<'_, &RawValue> =
            serde_json::from_str(document).map_err(|e| DeadLetterError::unreadable(e.to_string()))?;
        if document.schema != SCHEMA {
            return Err(DeadLetterError::unreadable(format!("its `schema` is not `{SCHEMA}`")));
        }
        Ok(Self {
            record: document.encoding.decode(document.record)?,
            sequence_number: document.sequence_number.map(Cow::into_owned),
            event_id: document.event_id.map(Cow::into_owned),
            source_arn: document.event_source_arn.map(Cow::into_owned),
            reason: document.reason.into_owned(),
            function: document.function.into(),
            time: humantime::parse_rfc3339(&document.time)
                .map_err(|e| DeadLetterError::unreadable(format!("its `time`: {e}")))?,
        })
    }

    fn render<R: Serialize + ?Sized>(&self, encoding: Encoding, record: &R) -> String {
        let document = Document {
            schema: SCHEMA.into(),
            function: (&*self.function).into(),
            reason: (&*self.reason).into(),
            time: humantime::format_rfc3339_millis(self.time).to_string(),
            event_id: self.event_id.as_deref().map(Cow::from),
            sequence_number: self.sequence_number.as_deref().map(Cow::from),
            event_source_arn: self.source_arn.as_deref().map(Cow::from),
            encoding,
            record,
        };
        let json = serde_json::to_string(&document).expect("strings always serialize");
        escape_noncharacters(json)
    }
}

impl Encoding {
    fn decode(self, record: &RawValue) -> Result<Bytes, DeadLetterError> {
        if self == Self::Json {
            return Ok(Bytes::copy_from_slice(record.get().as_bytes()));
        }
        let text: Cow<'_, str> = serde_json::from_str(record.get())
            .map_err(|_| DeadLetterError::unreadable("its `record` is not a string"))?;
        let bytes = BASE64
            .decode_to_vec(text.as_bytes())
            .map_err(|_| DeadLetterError::unreadable("its `record` is not base64"))?;
        match self {
            Self::Gzip => decompressed(&bytes),
            _ => Ok(bytes.into()),
        }
    }
}

/// The record as a JSON value that can stand in a line as it is, so that reading it back gives the same bytes.
fn verbatim(record: &[u8]) -> Option<&RawValue> {
    let text = str::from_utf8(record).ok()?;
    let value: &RawValue = serde_json::from_str(text).ok()?;
    let whole = value.get().len() == text.len();
    let plain = !text.contains(['\n', '\r', '\u{fffe}', '\u{ffff}']);
    (whole && plain).then_some(value)
}

/// Escapes the two characters that JSON allows and SQS refuses.
///
/// They can only stand inside a string, where the escape means the same.
fn escape_noncharacters(json: String) -> String {
    if !json.contains(['\u{fffe}', '\u{ffff}']) {
        return json;
    }
    json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}

fn compressed(record: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(record).and_then(|()| gzip.finish()).expect("writing to memory cannot fail")
}

fn decompressed(bytes: &[u8]) -> Result<Bytes, DeadLetterError> {
    let mut record = Vec::new();
    let read = GzDecoder::new(bytes)
        .take(RECORD_LIMIT + 1)
        .read_to_end(&mut record)
        .map_err(|e| DeadLetterError::unreadable(format!("its `record` is not gzip: {e}")))?;
    if read as u64 > RECORD_LIMIT {
        return Err(DeadLetterError::unreadable(format!("its `record` unpacks to more than {RECORD_LIMIT} bytes")));
    }
    Ok(record.into())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    fn letter(record: impl Into<Bytes>) -> DeadLetter {
        DeadLetter::new(record, "why", "replicate", UNIX_EPOCH)
    }

    fn records() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            any::<Vec<u8>>(),
            ".*".prop_map(String::into_bytes),
            ".*".prop_map(|text| serde_json::json!({"text": text}).to_string().into_bytes()),
            "[ \n]*\\{\"a\":[0-9]{1,40}[ \n]*\\}".prop_map(String::into_bytes),
        ]
    }

    fn letters() -> impl Strategy<Value = DeadLetter> {
        let id = || proptest::option::of(".*");
        let time = 0..253_402_300_799_999_u64;
        (records(), ".*", ".*", time, (id(), id(), id())).prop_map(|(record, reason, function, time, ids)| {
            let time = UNIX_EPOCH + Duration::from_millis(time);
            let mut letter = DeadLetter::new(record, reason, function, time);
            (letter.event_id, letter.sequence_number, letter.source_arn) = ids;
            letter
        })
    }

    proptest! {
        #[test]
        fn every_letter_comes_back_byte_for_byte(letter in letters()) {
            let document = letter.to_json();
            let awkward = document.contains(['\n', '\r', '\u{fffe}', '\u{ffff}']);
            prop_assert!(!awkward);
            prop_assert_eq!(DeadLetter::from_json(&document).unwrap(), letter);
        }

        #[test]
        fn a_limit_is_kept_or_the_letter_refused(letter in letters(), limit in 0..2_000_usize) {
            match letter.to_json_within(limit) {
                Ok(document) => {
                    prop_assert!(document.len() <= limit);
                    prop_assert_eq!(DeadLetter::from_json(&document).unwrap(), letter);
                }
                Err(DeadLetterError::TooLarge { size, limit: told }) => {
                    prop_assert_eq!(told, limit);
                    prop_assert!(size > limit && letter.to_json().len() >= size);
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
        }

        #[test]
        fn reading_never_panics(text in ".*") {
            prop_assert!(DeadLetter::from_json(&text).is_err());
        }
    }

    #[test]
    fn the_document_reads_well() {
        let letter = letter(r#"{"eventID":"e1"}"#).with_event_id("e1");
        assert_eq!(
            letter.to_json(),
            concat!(
                r#"{"schema":"anabranch.dead-letter/1","function":"replicate","reason":"why","#,
                r#""time":"1970-01-01T00:00:00.000Z","eventId":"e1","#,
                r#""encoding":"json","record":{"eventID":"e1"}}"#
            )
        );
    }

    #[test]
    fn a_large_record_goes_compressed() {
        let letter = letter("z".repeat(100_000));
        let document = letter.to_json_within(1_000).unwrap();
        assert!(document.contains(r#""encoding":"gzip+base64""#));
        assert_eq!(DeadLetter::from_json(&document).unwrap(), letter);
    }

    #[test]
    fn unreadable_documents_say_what_is_wrong() {
        let good = letter("{}").to_json();
        let with = |from: &str, to: &str| {
            let error = DeadLetter::from_json(&good.replace(from, to)).unwrap_err();
            error.to_string()
        };
        let cases = [
            (with("dead-letter/1", "dead-letter/2"), "its `schema` is not"),
            (with(r#""record":{}"#, r#""other":{}"#), "missing field `record`"),
            (with("1970-", "soon-"), "its `time`"),
            (with(r#""json""#, r#""base64""#), "its `record` is not a string"),
            (with(r#""json","record":{}"#, r#""base64","record":"~""#), "its `record` is not base64"),
            (with(r#""json","record":{}"#, r#""gzip+base64","record":"AAAA""#), "its `record` is not gzip"),
        ];
        for (error, expected) in cases {
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_record_that_unpacks_without_end_is_refused() {
        let bomb = BASE64.encode_to_string(compressed(&vec![0; RECORD_LIMIT as usize + 1]));
        let document = letter("{}").render(Encoding::Gzip, &bomb);
        let error = DeadLetter::from_json(&document).unwrap_err();
        assert!(error.to_string().contains("unpacks to more than"), "{error}");
    }
}
