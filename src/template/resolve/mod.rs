//! Intrinsic functions, as far as a template alone can answer them.

mod condition;
mod substitute;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use substitute::joined;

use super::{Entry, Node, Place, Reference, Scalar, Value};

/// Conditions that name each other are given up at this depth.
const DEPTH: usize = 32;

/// What a template names and does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undefined {
    /// Where the name is used.
    pub place: Place,
    /// The name.
    pub name: Arc<str>,
    /// The attribute that was asked for, where one was.
    pub attribute: Option<Arc<str>>,
}

/// Answers intrinsic functions from the sections of a template.
pub(super) struct Resolver<'a> {
    pub(super) root: &'a Node,
    /// Values given from outside, which win over the defaults of parameters.
    pub(super) given: &'a BTreeMap<String, String>,
    /// The logical ids of all resources.
    pub(super) resources: &'a BTreeSet<&'a str>,
    pub(super) undefined: RefCell<Vec<Undefined>>,
    pub(super) depth: usize,
}

impl Resolver<'_> {
    /// The value with its functions answered; nothing where it is `AWS::NoValue`.
    pub(super) fn resolve(&self, node: &Node) -> Option<Node> {
        let value = match &node.value {
            Value::List(nodes) => Value::List(nodes.iter().filter_map(|node| self.resolve(node)).collect()),
            Value::Map(entries) => match &**entries {
                [entry] if is_function(&entry.key) => return self.call(node.place, entry).map(looked_up),
                entries => Value::Map(entries.iter().filter_map(|entry| self.resolve_entry(entry)).collect()),
            },
            other => other.clone(),
        };
        Some(looked_up(Node { place: node.place, value }))
    }

    /// A function beside other entries adds some that nobody knows; the names of a loop are bound by itself.
    fn resolve_entry(&self, entry: &Entry) -> Option<Entry> {
        let value = match &*entry.key {
            name if name.starts_with("Fn::ForEach") => Node::unknown(entry.place, name),
            name if name.starts_with("Fn::") => {
                self.resolve(&entry.value);
                Node::unknown(entry.place, name)
            }
            _ => self.resolve(&entry.value)?,
        };
        Some(Entry { key: Arc::clone(&entry.key), place: entry.place, value })
    }

    fn call(&self, place: Place, entry: &Entry) -> Option<Node> {
        let argument = &entry.value;
        let known = match &*entry.key {
            "Ref" => return self.refer_to(place, entry),
            "Fn::If" => return self.choose(place, argument),
            "Fn::GetAtt" => self.attribute(place, argument),
            "Fn::Sub" => self.substitute(place, argument),
            "Fn::Join" => self.join(place, argument),
            "Fn::Select" => self.select(place, argument),
            "Fn::Split" => self.split(place, argument),
            "Fn::FindInMap" => self.find_in_map(place, argument),
            "Fn::ToJsonString" => self.resolve(argument).and_then(|value| json(place, &value)),
            // Its names are bound by itself.
            name if name.starts_with("Fn::ForEach") => None,
            // For the names that it uses, too.
            _ => return Some(Node::unknown(place, about(entry, self.resolve(argument).as_ref()))),
        };
        Some(known.unwrap_or_else(|| Node::unknown(place, about(entry, None))))
    }

    /// The name may be a function's answer, where `AWS::LanguageExtensions` allows it.
    fn refer_to(&self, place: Place, entry: &Entry) -> Option<Node> {
        let name = self.resolve(&entry.value);
        match name.as_ref().and_then(Node::as_str) {
            Some(name) => self.refer(place, name),
            None => Some(Node::unknown(place, about(entry, name.as_ref()))),
        }
    }

    fn refer(&self, place: Place, name: &str) -> Option<Node> {
        let node = match name {
            "AWS::NoValue" => return None,
            _ if name.starts_with("AWS::") => Node::unknown(place, format!("Ref {name}")),
            _ if self.resources.contains(name) => reference(place, name, None),
            _ => match self.root.at(&["Parameters", name]) {
                Some(parameter) => self.parameter(place, name, parameter),
                None => {
                    self.is_undefined(place, name, None);
                    Node::unknown(place, format!("Ref {name}"))
                }
            },
        };
        Some(node)
    }

    fn is_undefined(&self, place: Place, name: &str, attribute: Option<&str>) {
        let undefined = Undefined { place, name: name.into(), attribute: attribute.map(Into::into) };
        self.undefined.borrow_mut().push(undefined);
    }

    /// What was given, or the default. A parameter that names something to look up is unknown.
    fn parameter(&self, place: Place, name: &str, parameter: &Node) -> Node {
        let kind = parameter.get("Type").and_then(Node::as_str).unwrap_or("String");
        let default = || parameter.get("Default").and_then(Node::as_str);
        let value = self.given.get(name).map(String::as_str).or_else(default);
        match value {
            Some(_) if kind.starts_with("AWS::SSM::Parameter::Value") => Node::unknown(place, format!("Ref {name}")),
            Some(value) if kind == "CommaDelimitedList" || kind.starts_with("List<") => {
                let parts = value.split(',').map(|part| Node::text(place, part.trim()));
                Node { place, value: Value::List(parts.collect()) }
            }
            Some(value) => Node::text(place, value),
            None => Node::unknown(place, format!("Ref {name}")),
        }
    }

    fn attribute(&self, place: Place, argument: &Node) -> Option<Node> {
        if let Some((resource, attribute)) = argument.as_str().and_then(|text| text.split_once('.')) {
            return self.attribute_of(place, resource, attribute);
        }
        let [resource, attribute] = argument.elements() else { return None };
        let (resource, attribute) = (self.resolve(resource)?, self.resolve(attribute)?);
        self.attribute_of(place, resource.as_str()?, attribute.as_str()?)
    }

    fn attribute_of(&self, place: Place, resource: &str, attribute: &str) -> Option<Node> {
        if !self.resources.contains(resource) {
            self.is_undefined(place, resource, Some(attribute));
            return None;
        }
        Some(reference(place, resource, Some(attribute)))
    }

    fn join(&self, place: Place, argument: &Node) -> Option<Node> {
        let [separator, parts] = argument.elements() else { return None };
        let (separator, parts) = (separator.as_str()?, self.resolve(parts)?);
        let Value::List(parts) = &parts.value else { return None };
        joined(place, parts, separator)
    }

    fn select(&self, place: Place, argument: &Node) -> Option<Node> {
        let [index, list] = argument.elements() else { return None };
        let (index, list) = (self.resolve(index)?, self.resolve(list)?);
        let chosen = list.elements().get(index.as_str()?.parse::<usize>().ok()?)?;
        Some(Node { place, value: chosen.value.clone() })
    }

    fn split(&self, place: Place, argument: &Node) -> Option<Node> {
        let [separator, text] = argument.elements() else { return None };
        let text = self.resolve(text)?;
        let parts = text.as_str()?.split(separator.as_str().filter(|separator| !separator.is_empty())?);
        Some(Node { place, value: Value::List(parts.map(|part| Node::text(place, part)).collect()) })
    }

    fn find_in_map(&self, place: Place, argument: &Node) -> Option<Node> {
        let [map, first, second, ..] = argument.elements() else { return None };
        let [map, first, second] = [map, first, second].map(|node| self.resolve(node));
        let (map, first, second) = (map?, first?, second?);
        let found = self.root.at(&["Mappings", map.as_str()?, first.as_str()?, second.as_str()?])?;
        Some(Node { place, value: found.value.clone() })
    }
}

fn is_function(key: &str) -> bool {
    key == "Ref" || key.starts_with("Fn::")
}

fn reference(place: Place, resource: &str, attribute: Option<&str>) -> Node {
    let reference = Reference { resource: resource.into(), attribute: attribute.map(Into::into) };
    Node { place, value: Value::Resource(reference) }
}

/// The function for people, with its argument where that is a text.
fn about(entry: &Entry, argument: Option<&Node>) -> String {
    match &argument.unwrap_or(&entry.value).value {
        Value::Scalar(argument) => format!("{} {}", entry.key, argument.text),
        Value::Resource(argument) => format!("{} {argument}", entry.key),
        Value::Unknown(argument) => format!("{} ${{{argument}}}", entry.key),
        Value::Null | Value::List(_) | Value::Map(_) => entry.key.to_string(),
    }
}

/// A text with a dynamic reference, wherever that comes from, is unknown.
fn looked_up(node: Node) -> Node {
    match &node.value {
        Value::Scalar(scalar) if scalar.text.contains("{{resolve:") => {
            Node { place: node.place, value: Value::Unknown(Arc::clone(&scalar.text)) }
        }
        _ => node,
    }
}

fn json(place: Place, value: &Node) -> Option<Node> {
    Some(Node::text(place, as_json(value)?.to_string()))
}

fn as_json(node: &Node) -> Option<serde_json::Value> {
    match &node.value {
        Value::Null => Some(serde_json::Value::Null),
        Value::Scalar(Scalar { whole: false, .. }) | Value::Resource(_) | Value::Unknown(_) => None,
        Value::Scalar(Scalar { plain: true, text, .. }) => {
            Some(serde_json::from_str(text).unwrap_or_else(|_| (&**text).into()))
        }
        Value::Scalar(scalar) => Some((&*scalar.text).into()),
        Value::List(nodes) => nodes.iter().map(as_json).collect(),
        Value::Map(entries) => {
            let members = entries.iter().map(|entry| Some((entry.key.to_string(), as_json(&entry.value)?)));
            members.collect::<Option<serde_json::Map<_, _>>>().map(Into::into)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::read::read;

    const TEMPLATE: &str = r"
Parameters:
  Size: {Type: Number, Default: 100}
  Zones: {Type: CommaDelimitedList, Default: 'a, b'}
  Open: {Type: String}
  Looked: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /path}
  Stage: {Type: String, Default: dev}
  Secret: {Type: String, Default: '{{resolve:secretsmanager:a}}'}
Mappings:
  Sizes: {dev: {batch: 7}, prod: {batch: 9}}
Conditions:
  Prod: !Equals [!Ref Stage, prod]
  Dev: !Not [!Condition Prod]
  Either: !Or [!Condition Prod, !Condition Dev]
  Both: !And [!Condition Prod, !Equals [!Ref Open, x]]
  Opened: !Equals [!Ref Open, x]
  Loop: !Not [!Condition Loop]
Resources:
  Table: {Type: 'AWS::DynamoDB::Table'}
";

    fn resolved(expression: &str, given: &[(&str, &str)]) -> String {
        let root = read(&"t".into(), &format!("{TEMPLATE}X: {expression}\n")).expect("readable");
        let given = given.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let resources = BTreeSet::from(["Table"]);
        let resolver =
            Resolver { root: &root, given: &given, resources: &resources, undefined: RefCell::default(), depth: 0 };
        let node = resolver.resolve(root.get("X").expect("there"));
        let undefined = resolver.undefined.into_inner();
        let missing: String = undefined.iter().map(|name| format!(" missing {}", name.name)).collect();
        node.map_or_else(|| "nothing".to_owned(), |node| shown(&node)) + &missing
    }

    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".to_owned(),
            Value::Scalar(scalar) => format!("{}{}", scalar.text, if scalar.whole { "" } else { " in part" }),
            Value::List(nodes) => format!("[{}]", nodes.iter().map(shown).collect::<Vec<_>>().join("; ")),
            Value::Map(entries) => {
                let entries = entries.iter().map(|entry| format!("{}: {}", entry.key, shown(&entry.value)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join("; "))
            }
            Value::Resource(reference) => format!("-> {reference}"),
            Value::Unknown(about) => format!("? {about}"),
        }
    }

    #[test]
    fn what_a_template_knows_is_resolved() {
        for (expression, expected) in [
            ("!Ref Size", "100"),
            ("!Ref Zones", "[a; b]"),
            ("!Ref Open", "? Ref Open"),
            ("!Ref Looked", "? Ref Looked"),
            ("!Ref Table", "-> ${Table}"),
            ("!GetAtt Table.StreamArn", "-> ${Table.StreamArn}"),
            ("!Sub '${Table.StreamArn}'", "-> ${Table.StreamArn}"),
            ("!Sub 'x-${Size}-${!Kept}'", "x-100-${Kept}"),
            ("!Sub 'arn:${AWS::Partition}:sqs:q.fifo'", "arn:${AWS::Partition}:sqs:q.fifo in part"),
            ("!Sub ['${A}-${Size}', {A: !Ref Stage}]", "dev-100"),
            ("!Sub '${Table}/index/*'", "${Table}/index/* in part"),
            ("!Join ['-', [a, !Ref Size, c]]", "a-100-c"),
            ("!Join ['', [a, !Ref Open]]", "a${Ref Open} in part"),
            ("!Join [',', !Ref Zones]", "a,b"),
            ("!Select [1, !Ref Zones]", "b"),
            ("!Select [1, !Split ['|', 'x|y']]", "y"),
            ("!FindInMap [Sizes, !Ref Stage, batch]", "7"),
            ("!FindInMap [Sizes, !Ref 'AWS::Region', batch]", "? Fn::FindInMap"),
            ("!ImportValue shared", "? Fn::ImportValue shared"),
            ("!ImportValue {'Fn::Sub': '${Open}-Stream'}", "? Fn::ImportValue ${Open}-Stream"),
            ("'{{resolve:ssm:/a}}'", "? {{resolve:ssm:/a}}"),
            ("!Sub '{{resolve:ssm:/${Stage}/a}}'", "? {{resolve:ssm:/dev/a}}"),
            ("!Sub 'x-{{resolve:ssm:/${Open}}}'", "? x-{{resolve:ssm:/${Open}}}"),
            ("!Join ['', ['{{resolve:ssm:', /a, '}}']]", "? {{resolve:ssm:/a}}"),
            ("!Ref Secret", "? {{resolve:secretsmanager:a}}"),
            ("!Sub '${Secret}'", "? {{resolve:secretsmanager:a}}"),
            ("{'Fn::GetAtt': Table.StreamArn}", "-> ${Table.StreamArn}"),
            ("{A: 1, 'Fn::Transform': {Name: 'AWS::Include'}}", "{A: 1; Fn::Transform: ? Fn::Transform}"),
            (
                "{A: 1, 'Fn::ForEach::X': [Name, [a], {'${Name}': !Ref Name}]}",
                "{A: 1; Fn::ForEach::X: ? Fn::ForEach::X}",
            ),
            ("!Ref {'Fn::Sub': ['${A}ize', {A: S}]}", "100"),
            ("!Ref {'Fn::Sub': '${Open}Size'}", "? Ref ${Open}Size"),
            ("!Ref {'Fn::Join': ['::', [AWS, NoValue]]}", "nothing"),
            ("!GetAtt [!Join ['', [Ta, ble]], StreamArn]", "-> ${Table.StreamArn}"),
            ("{A: !Ref 'AWS::NoValue', B: 1}", "{B: 1}"),
            ("[!Ref 'AWS::NoValue', 1]", "[1]"),
            ("!ToJsonString {a: [1, '2', true, null], b: !Ref Stage}", r#"{"a":[1,"2",true,null],"b":"dev"}"#),
            ("!ToJsonString {b: !Ref Open}", "? Fn::ToJsonString"),
        ] {
            assert_eq!(resolved(expression, &[]), expected, "{expression}");
        }
    }

    #[test]
    fn conditions_follow_the_defaults() {
        for (condition, expected) in [
            ("Prod", "no"),
            ("Dev", "yes"),
            ("Either", "yes"),
            ("Both", "no"),
            ("Opened", "?"),
            ("Loop", "?"),
            ("None", "?"),
        ] {
            let found = resolved(&format!("!If [{condition}, yes, no]"), &[]);
            assert!(found.starts_with(expected), "{condition}: {found}");
        }
        assert_eq!(resolved("!If [Prod, !Ref 'AWS::NoValue', no]", &[("Stage", "prod")]), "nothing");
        assert_eq!(resolved("!If [Opened, yes, no]", &[("Open", "x")]), "yes");
    }

    #[test]
    fn names_that_nobody_has_are_noted() {
        for (expression, name) in [
            ("!Ref Nobody", "Nobody"),
            ("!GetAtt Nobody.Arn", "Nobody"),
            ("!Sub 'a-${Nobody}'", "Nobody"),
            ("!Sub 'a-${Nobody.Arn}'", "Nobody"),
            ("!If [Prod, !Ref Nobody, 1]", "Nobody"),
            ("!Base64 {Ref: Nobody}", "Nobody"),
        ] {
            let found = resolved(expression, &[]);
            assert!(found.ends_with(&format!("missing {name}")), "{expression}: {found}");
        }
    }
}
