//! Items as lines of text.

use std::fmt;

use super::{
    csv::{Csv, CsvLines},
    plain,
};

/// How items are written, one line for each.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Plain JSON: `{"name":"Mia","weightKg":4.25,"tags":["indoor"]}`.
    ///
    /// Numbers keep all their digits, binary is base64, sets are arrays. What was a set, a list, a text or binary cannot be
    /// told any more.
    JsonLines,
    /// CSV, with one column for each chosen attribute.
    Csv(Csv),
    /// DynamoDB's own export format, without any loss: `{"Item":{"name":{"S":"Mia"}}}`.
    ///
    /// DynamoDB's import from S3 takes it.
    DynamoDbJson,
}

/// Makes lines of items, one at a time and wherever they go; [`ItemFile`](super::ItemFile) makes files of them.
///
/// ```
/// use anabranch::sink::file::{Format, Lines};
///
/// let mut lines = Lines::new(&Format::JsonLines);
/// let line = lines.line(br#"{"name":{"S":"Mia"},"weightKg":{"N":"4.25"}}"#);
/// assert_eq!(line, Some(&b"{\"name\":\"Mia\",\"weightKg\":4.25}\n"[..]));
/// ```
pub struct Lines(Kind);

enum Kind {
    Plain(Vec<u8>),
    Csv(Box<CsvLines>),
    DynamoDb(Vec<u8>),
}

impl Lines {
    /// Lines of a format.
    pub fn new(format: &Format) -> Self {
        Self(match format {
            Format::JsonLines => Kind::Plain(Vec::new()),
            Format::Csv(csv) => Kind::Csv(Box::new(CsvLines::new(csv))),
            Format::DynamoDbJson => Kind::DynamoDb(Vec::new()),
        })
    }

    /// What comes before the first item, with its line break: the names of CSV's columns.
    pub fn header(&mut self) -> &[u8] {
        match &mut self.0 {
            Kind::Csv(csv) => csv.header(),
            Kind::Plain(_) | Kind::DynamoDb(_) => b"",
        }
    }

    /// The line of an item in DynamoDB JSON, with its line break; nothing if it is no item.
    pub fn line(&mut self, item: &[u8]) -> Option<&[u8]> {
        match &mut self.0 {
            Kind::Csv(csv) => csv.line(item),
            Kind::Plain(line) => {
                line.clear();
                plain::item(item, line)?;
                line.push(b'\n');
                is_one(line).then_some(&line[..])
            }
            Kind::DynamoDb(line) => {
                line.clear();
                dynamodb(item, line)?;
                Some(line)
            }
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = match self.0 {
            Kind::Plain(_) => "JsonLines",
            Kind::Csv(_) => "Csv",
            Kind::DynamoDb(_) => "DynamoDbJson",
        };
        f.debug_tuple("Lines").field(&format).finish()
    }
}

/// Whether a line is one: the only line break is its last byte.
fn is_one(line: &[u8]) -> bool {
    memchr::memchr(b'\n', line) == Some(line.len() - 1)
}

fn dynamodb(item: &[u8], line: &mut Vec<u8>) -> Option<()> {
    plain::is_item(item).then_some(())?;
    line.extend_from_slice(b"{\"Item\":");
    if memchr::memchr(b'\n', item).is_some() {
        // Somebody's pretty print.
        let item: serde_json::Value = serde_json::from_slice(item).ok()?;
        serde_json::to_writer(&mut *line, &item).expect("memory takes all");
    } else {
        line.extend_from_slice(item);
    }
    line.extend_from_slice(b"}\n");
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: Format, item: &str) -> Option<String> {
        let mut lines = Lines::new(&format);
        lines.line(item.as_bytes()).map(|line| String::from_utf8(line.to_vec()).unwrap())
    }

    #[test]
    fn dynamodb_json_stays_as_it_is_but_for_line_breaks() {
        let item = r#"{ "a" : {"S":"x\ny"} }"#;
        assert_eq!(line(Format::DynamoDbJson, item), Some(format!("{{\"Item\":{item}}}\n")));
        let pretty = "{\n  \"a\": {\n\"N\": \"1.50\"}\n}";
        assert_eq!(line(Format::DynamoDbJson, pretty).unwrap(), "{\"Item\":{\"a\":{\"N\":\"1.50\"}}}\n");
        for other in ["", "[]", "{", "{} {}", "{\"a\":{\"S\":\"x\n\"}}", r#"{"a":1}"#] {
            assert_eq!(line(Format::DynamoDbJson, other), None, "{other}");
        }
    }

    #[test]
    fn a_line_break_within_a_text_is_no_line() {
        assert_eq!(line(Format::JsonLines, "{\"a\":{\"S\":\"x\ny\"}}"), None);
        assert_eq!(line(Format::JsonLines, "{\n\"a\":{\"S\":\"x\"}}").unwrap(), "{\"a\":\"x\"}\n");
    }
}
