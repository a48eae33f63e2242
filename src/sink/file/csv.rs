//! Items as lines of CSV.

use csv_core::{WriteResult, Writer};

use super::plain::{self, Value};
use crate::record::wire::walk;

/// Which attributes become columns.
///
/// Texts, numbers and base64 stand as they are, `true` and `false` for booleans, JSON for maps, lists and sets. An attribute
/// that is `NULL` or not there is an empty field. Fields with commas, quotes or line breaks are quoted (RFC 4180); lines
/// end in `\n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csv {
    columns: Vec<String>,
    header: bool,
}

impl Csv {
    /// One column for each of these attributes, in their order, below a line with their names.
    pub fn columns<C: Into<String>>(columns: impl IntoIterator<Item = C>) -> Self {
        Self { columns: columns.into_iter().map(Into::into).collect(), header: true }
    }

    /// Leaves the names out.
    #[must_use]
    pub fn without_header(self) -> Self {
        Self { header: false, ..self }
    }
}

/// Writes lines of CSV.
pub(super) struct CsvLines {
    csv: Csv,
    writer: Writer,
    line: Vec<u8>,
}

impl CsvLines {
    pub(super) fn new(csv: &Csv) -> Self {
        Self { csv: csv.clone(), writer: Writer::new(), line: Vec::new() }
    }

    pub(super) fn header(&mut self) -> &[u8] {
        let columns = if self.csv.header { self.csv.columns.clone() } else { Vec::new() };
        if columns.is_empty() { b"" } else { self.fields(columns.into_iter().map(String::into_bytes)) }
    }

    /// The line of an item, or nothing if it is none.
    pub(super) fn line(&mut self, item: &[u8]) -> Option<&[u8]> {
        if !plain::is_item(item) {
            return None;
        }
        let mut fields = vec![Vec::new(); self.csv.columns.len()];
        plain::attributes(item, |name, value| {
            let name = text(name)?;
            let columns = self.csv.columns.iter().zip(&mut fields);
            columns.filter(|(column, _)| column.as_bytes() == name).try_for_each(|(_, field)| write(value, field))
        })?;
        Some(self.fields(fields.into_iter()))
    }

    fn fields(&mut self, fields: impl Iterator<Item = Vec<u8>>) -> &[u8] {
        self.line.clear();
        for (at, field) in fields.enumerate() {
            if at > 0 {
                step(&mut self.line, 2, |out| self.writer.delimiter(out));
            }
            // Every byte may be a quote, which is doubled, between two more.
            step(&mut self.line, 2 * field.len() + 2, |out| {
                let (result, _, written) = self.writer.field(&field, out);
                (result, written)
            });
        }
        step(&mut self.line, 4, |out| self.writer.terminator(out));
        &self.line
    }
}

/// Writes into room that is large enough.
fn step(line: &mut Vec<u8>, room: usize, write: impl FnOnce(&mut [u8]) -> (WriteResult, usize)) {
    let end = line.len();
    line.resize(end + room, 0);
    let (result, written) = write(&mut line[end..]);
    debug_assert_eq!(result, WriteResult::InputEmpty);
    line.truncate(end + written);
}

/// The field of a value.
fn write(value: Value<'_>, field: &mut Vec<u8>) -> Option<()> {
    field.clear();
    match value {
        Value { kind: b"NULL", .. } => {}
        Value { kind: b"S" | b"N" | b"B", content } => {
            field.extend_from_slice(&text(content.strip_prefix(b"\"")?.strip_suffix(b"\"")?)?);
        }
        other => plain::value(other, field)?,
    }
    Some(())
}

/// A JSON string's content, without its escapes.
fn text(content: &[u8]) -> Option<Vec<u8>> {
    let quoted = [content, b"\""].concat();
    let (raw, _) = walk::string(&quoted)?;
    raw.resolve().map(|text| text.into_owned().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(csv: Csv, items: &[&str]) -> String {
        let mut lines = CsvLines::new(&csv);
        let mut text = lines.header().to_vec();
        for item in items {
            text.extend_from_slice(lines.line(item.as_bytes()).unwrap());
        }
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let items = [
            r#"{"a":{"S":"x,y"},"b":{"N":"1.50"},"c":{"S":"\"quoted\"\nand broken"}}"#,
            r#"{"b":{"BOOL":true},"c":{"L":[{"S":"l"},{"N":"2"}]},"other":{"S":"unseen"}}"#,
            r#"{"a":{"NULL":true},"b":{"B":"YQ=="},"c":{"S":" \u00e9 "}}"#,
            "{}",
        ];
        let expected =
            "a,b,c\n\"x,y\",1.50,\"\"\"quoted\"\"\nand broken\"\n,true,\"[\"\"l\"\",2]\"\n,YQ==,\" \u{e9} \"\n,,\n";
        let text = lines(Csv::columns(["a", "b", "c"]), &items);
        assert_eq!(text.replace("\" \u{e9} \"", " \u{e9} "), expected.replace("\" \u{e9} \"", " \u{e9} "));
        assert_eq!(lines(Csv::columns(["b"]).without_header(), &items[..2]), "1.50\ntrue\n");
    }

    #[test]
    fn a_column_may_stand_twice_and_a_lonely_empty_field_is_a_line() {
        assert_eq!(lines(Csv::columns(["a", "a"]), &[r#"{"a":{"S":"1"}}"#]), "a,a\n1,1\n");
        assert_eq!(lines(Csv::columns(["a"]), &["{}"]), "a\n\"\"\n");
    }
}
