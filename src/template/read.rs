//! From text to values: YAML with its short forms, and JSON, which is YAML but for a few escapes.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::{Entry, Node, Place, Scalar, TemplateError, Value};

/// How deep values may be nested.
const DEPTH: usize = 128;
/// How many values a template may have once its aliases are written out.
const VALUES: usize = 1_000_000;

/// Reads the first document of a text, with every short form (`!Ref Table`) in its long form (`Ref: Table`).
pub(super) fn read(file: &Arc<str>, text: &str) -> Result<Node, TemplateError> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let text = if text.trim_start().starts_with('{') { json(text) } else { Cow::Borrowed(text) };
    let mut builder = Builder { file, stack: Vec::new(), anchors: HashMap::new(), values: 0, root: None };
    let mut parser = Parser::new_from_str(&text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| TemplateError::Syntax {
            file: Arc::clone(file),
            place: place(*error.marker()),
            reason: error.info().to_owned(),
        })?;
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        builder.event(event, place(span.start))?;
    }
    Ok(builder.root.unwrap_or(Node { place: Place { line: 1, column: 1 }, value: Value::Null }))
}

fn place(marker: Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

/// Writes the surrogate pairs of JSON, which YAML does not know, as YAML does.
fn json(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut kept = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find('\\') {
        let start = at + found;
        let (unit, next) = (code_unit(&text[start..]), start + 6);
        at = match unit {
            Some(high @ 0xD800..=0xDFFF) => {
                let low = code_unit(text.get(next..).unwrap_or_default());
                let pair = char::decode_utf16([Some(high), low].into_iter().flatten()).next();
                let decoded = pair.and_then(Result::ok);
                out.push_str(&text[kept..start]);
                out.push_str(&format!("\\U{:08X}", u32::from(decoded.unwrap_or(char::REPLACEMENT_CHARACTER))));
                kept = if decoded.is_some() { next + 6 } else { next };
                kept
            }
            // The escaped character is no start of another escape.
            _ => start + 1 + text[start + 1..].chars().next().map_or(0, char::len_utf8),
        };
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[kept..]);
    Cow::Owned(out)
}

/// The number in `\uXXXX` at the start of a text.
fn code_unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// Puts values together from events.
struct Builder<'a> {
    file: &'a Arc<str>,
    stack: Vec<Open>,
    /// What anchors stand for, and how many values that is.
    anchors: HashMap<usize, (Node, usize)>,
    /// How many values there are with aliases written out.
    values: usize,
    root: Option<Node>,
}

/// A list or map that is not yet closed.
struct Open {
    place: Place,
    anchor: usize,
    tag: Option<String>,
    /// How many values there were before.
    before: usize,
    kind: Kind,
}

enum Kind {
    List(Vec<Node>),
    Map(Vec<Entry>, Option<(Arc<str>, Place)>),
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, place: Place) -> Result<(), TemplateError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = is_plain(style, tag.as_deref());
                let before = self.values;
                let scalar = Scalar { text: text.into(), plain, whole: true };
                let null = plain && matches!(&*scalar.text, "" | "~" | "null" | "Null" | "NULL");
                let value = if null && tag.is_none() { Value::Null } else { Value::Scalar(scalar) };
                self.close(Node { place, value }, anchor, short_form(tag.as_deref()), before)
            }
            Event::SequenceStart(anchor, tag) => self.open(place, anchor, tag.as_deref(), Kind::List(Vec::new())),
            Event::MappingStart(anchor, tag) => self.open(place, anchor, tag.as_deref(), Kind::Map(Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.stack.pop().expect("the parser closes what it has opened");
                let value = match open.kind {
                    Kind::List(nodes) => Value::List(nodes.into()),
                    Kind::Map(entries, _) => Value::Map(merged(entries).into()),
                };
                self.close(Node { place: open.place, value }, open.anchor, open.tag, open.before)
            }
            Event::Alias(anchor) => {
                let unset = || (Node { place, value: Value::Null }, 1);
                let (node, values) = self.anchors.get(&anchor).cloned().unwrap_or_else(unset);
                self.values += values;
                self.add(node)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, place: Place, anchor: usize, tag: Option<&Tag>, kind: Kind) -> Result<(), TemplateError> {
        if self.stack.len() >= DEPTH {
            return Err(TemplateError::TooDeep { file: Arc::clone(self.file), place, limit: DEPTH });
        }
        self.stack.push(Open { place, anchor, tag: short_form(tag), before: self.values, kind });
        Ok(())
    }

    fn close(
        &mut self,
        node: Node,
        anchor: usize,
        function: Option<String>,
        before: usize,
    ) -> Result<(), TemplateError> {
        self.values += 1;
        let node = match function {
            Some(function) => long_form(&function, node),
            None => node,
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.values - before));
        }
        self.add(node)
    }

    fn add(&mut self, node: Node) -> Result<(), TemplateError> {
        if self.values > VALUES {
            return Err(TemplateError::TooLarge { file: Arc::clone(self.file), place: node.place, limit: VALUES });
        }
        match self.stack.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(Kind::List(nodes)) => nodes.push(node),
            Some(Kind::Map(entries, key)) => match key.take() {
                None => *key = Some((as_key(&node), node.place)),
                Some((key, place)) => entries.push(Entry { key, place, value: node }),
            },
        }
        Ok(())
    }
}

/// Whether a scalar may mean more than its text: it is not quoted, or a tag says so.
fn is_plain(style: ScalarStyle, tag: Option<&Tag>) -> bool {
    match tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| &*tag.suffix) {
        Some(kind) => kind != "str",
        None => style == ScalarStyle::Plain,
    }
}

/// A key that is no scalar is none that a template knows.
fn as_key(node: &Node) -> Arc<str> {
    node.scalar().map_or_else(|| Arc::from(""), |scalar| Arc::clone(&scalar.text))
}

/// The entries of `<<` below those of the map itself.
fn merged(entries: Vec<Entry>) -> Vec<Entry> {
    if !entries.iter().any(|entry| &*entry.key == "<<") {
        return entries;
    }
    let (merges, own): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(|entry| &*entry.key == "<<");
    let maps = merges.iter().flat_map(|merge| merge.value.one_or_more());
    let below: Vec<Entry> = maps.flat_map(|map| map.entries().iter().cloned()).collect();
    // The first of several maps counts, and the last of equal keys.
    below.into_iter().rev().chain(own).collect()
}

/// The function that a tag stands for.
fn short_form(tag: Option<&Tag>) -> Option<String> {
    let tag = tag.filter(|tag| tag.handle == "!")?;
    Some(match &*tag.suffix {
        plain @ ("Ref" | "Condition") => plain.to_owned(),
        function => format!("Fn::{function}"),
    })
}

fn long_form(function: &str, argument: Node) -> Node {
    let place = argument.place;
    let argument = match argument.as_str().and_then(|text| text.split_once('.')) {
        Some((resource, attribute)) if function == "Fn::GetAtt" => {
            let parts = [resource, attribute].map(|part| Node::text(place, part));
            Node { place, value: Value::List(parts.into()) }
        }
        _ => argument,
    };
    let entry = Entry { key: function.into(), place, value: argument };
    Node { place, value: Value::Map([entry].into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Node {
        read(&"template.yaml".into(), text).expect("readable")
    }

    fn at<'a>(node: &'a Node, path: &[&str]) -> &'a Node {
        node.at(path).unwrap_or_else(|| panic!("nothing at {path:?} of {node:?}"))
    }

    #[test]
    fn every_value_knows_its_place() {
        let node = parsed("A:\n  B: 5\n  C:\n    - x\n    -  {D: \"é\", E: y}\n");
        for (path, line, column) in [(&["A", "B"][..], 2, 6), (&["A"], 2, 3), (&["A", "C"], 4, 5)] {
            assert_eq!(at(&node, path).place, Place { line, column }, "{path:?}");
        }
        let map = &at(&node, &["A", "C"]).elements()[1];
        assert_eq!(at(map, &["E"]).place, Place { line: 5, column: 20 });
        assert_eq!(map.entry("E").expect("there").place, Place { line: 5, column: 17 });
    }

    #[test]
    fn short_forms_become_long_ones() {
        for (short, long) in [
            ("!Ref A", "Ref: A"),
            ("!GetAtt A.B.C", "Fn::GetAtt: [A, B.C]"),
            ("!GetAtt [A, B]", "Fn::GetAtt: [A, B]"),
            ("!Condition C", "Condition: C"),
            ("!If [C, !Ref A, x]", "Fn::If: [C, {Ref: A}, x]"),
            ("!Sub '${A}-x'", "Fn::Sub: '${A}-x'"),
            ("!Join\n  - ','\n  - !Split [':', 'a:b']", "Fn::Join: [',', {'Fn::Split': [':', 'a:b']}]"),
        ] {
            assert_eq!(plain(&parsed(&format!("X: {short}\n"))), plain(&parsed(&format!("X: {{{long}}}"))), "{short}");
        }
    }

    /// Without places and quotes.
    fn plain(node: &Node) -> String {
        match &node.value {
            Value::Scalar(scalar) => scalar.text.to_string(),
            Value::List(nodes) => format!("{:?}", nodes.iter().map(plain).collect::<Vec<_>>()),
            Value::Map(entries) => {
                format!("{:?}", entries.iter().map(|entry| (&*entry.key, plain(&entry.value))).collect::<Vec<_>>())
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn json_is_read_with_places_tabs_and_surrogates() {
        let node = parsed(
            "{\n\t\"A\": {\"B\": \"\\ud83d\\udc31 \\\\u0041\\/\", \"C\": [1, null, true]},\n\t\"D\": \"\\ud83d\"\n}",
        );
        assert_eq!(at(&node, &["A", "B"]).as_str(), Some("🐱 \\u0041/"));
        assert_eq!(at(&node, &["A"]).place, Place { line: 2, column: 7 });
        assert_eq!(at(&node, &["A", "C"]).elements()[1].value, Value::Null);
        assert_eq!(at(&node, &["D"]).as_str(), Some("\u{FFFD}"));
        let marked = parsed("\u{FEFF}{\"A\": \"\\ud83d\\ude00\"}");
        assert_eq!(at(&marked, &["A"]).as_str(), Some("😀"));
        assert_eq!(at(&marked, &["A"]).place, Place { line: 1, column: 7 });
    }

    #[test]
    fn anchors_and_merges_are_written_out() {
        let node = parsed("A: &a {X: 1, Y: 2}\nB:\n  <<: *a\n  Y: 3\nC: *a\n");
        assert_eq!(at(&node, &["B", "X"]).as_str(), Some("1"));
        assert_eq!(at(&node, &["B", "Y"]).as_str(), Some("3"));
        assert_eq!(at(&node, &["C", "Y"]).as_str(), Some("2"));
    }

    #[test]
    fn hostile_texts_are_refused() {
        let deep = format!("{}{}", "[".repeat(DEPTH + 1), "]".repeat(DEPTH + 1));
        assert!(matches!(read(&"t".into(), &deep), Err(TemplateError::TooDeep { .. })));
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..=9 {
            let before = format!("*a{}", n - 1);
            laughs.push_str(&format!("a{n}: &a{n} [{}]\n", vec![before; 10].join(", ")));
        }
        assert!(matches!(read(&"t".into(), &laughs), Err(TemplateError::TooLarge { .. })));
        let broken = read(&"t".into(), "A: [1, 2\nB: }").expect_err("broken");
        assert_eq!(broken.place().map(|place| place.line), Some(2), "{broken}");
        assert_eq!(parsed("").value, Value::Null);
        assert!(read(&"t".into(), "A: *nobody").is_err());
    }
}
