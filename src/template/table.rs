//! Tables.

use std::sync::Arc;

use super::{Node, Place, Resource, Setting};

/// A table of a template.
#[derive(Debug, Clone)]
pub struct Table {
    /// The logical id.
    pub id: Arc<str>,
    /// Where the logical id stands.
    pub place: Place,
    /// The name, if the template chooses one.
    pub name: Setting<String>,
    /// Partition key, and sort key if there is one.
    pub keys: Vec<Key>,
    /// What records of its stream carry: `NEW_AND_OLD_IMAGES`. Absent where the table has no stream.
    pub stream_view: Setting<String>,
    /// The attribute by which items expire.
    pub time_to_live: Setting<String>,
    /// Whether it has replicas in other regions for sure.
    pub is_global: bool,
}

/// A key attribute of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The attribute.
    pub name: String,
    /// `S`, `N` or `B`, if the template says.
    pub kind: Option<String>,
}

impl Table {
    pub(super) fn of(resource: &Resource) -> Option<Self> {
        let is_global = match &*resource.kind {
            "AWS::DynamoDB::Table" | "AWS::Serverless::SimpleTable" => false,
            "AWS::DynamoDB::GlobalTable" => replicas(&resource.properties) > 1,
            _ => return None,
        };
        let properties = &resource.properties;
        Some(Self {
            id: Arc::clone(&resource.id),
            place: resource.place,
            name: Setting::of(properties.get("TableName")),
            keys: if resource.is("AWS::Serverless::SimpleTable") { simple_key(properties) } else { keys(properties) },
            stream_view: Self::stream_view(properties),
            time_to_live: Setting::of(properties.at(&["TimeToLiveSpecification", "AttributeName"])),
            is_global,
        })
    }

    /// A specification that is unknown as a whole leaves the view unknown, not absent.
    fn stream_view(properties: &Node) -> Setting<String> {
        let specification = properties.get("StreamSpecification");
        match specification.filter(|node| node.is_unknown()) {
            Some(node) => Setting::Unknown(node.place),
            None => Setting::of(specification.and_then(|node| node.get("StreamViewType"))),
        }
    }
}

/// Those that it has for sure.
fn replicas(properties: &Node) -> usize {
    let replicas = properties.get("Replicas").map(Node::elements).unwrap_or_default();
    replicas.iter().filter(|replica| !replica.is_unknown()).count()
}

/// SAM's own: `id`, a text, where nothing else is said.
fn simple_key(properties: &Node) -> Vec<Key> {
    let said = |key| Setting::<String>::of(properties.at(&["PrimaryKey", key]));
    let kind = said("Type").or("String".to_owned()).and_then(|kind| match &*kind {
        "String" => Some("S".to_owned()),
        "Number" => Some("N".to_owned()),
        "Binary" => Some("B".to_owned()),
        _ => None,
    });
    said("Name").or("id".to_owned()).map(|name| Key { name, kind }).into_iter().collect()
}

fn keys(properties: &Node) -> Vec<Key> {
    let text = |node: &Node, key| node.get(key).and_then(Node::as_str).map(str::to_owned);
    let list = |key| properties.get(key).map(Node::elements).unwrap_or_default();
    let kind_of = |name: &str| {
        let defined =
            list("AttributeDefinitions").iter().find(|one| text(one, "AttributeName").as_deref() == Some(name));
        defined.and_then(|one| text(one, "AttributeType"))
    };
    let key = |kind: &str| list("KeySchema").iter().find(|one| text(one, "KeyType").as_deref() == Some(kind));
    let names = ["HASH", "RANGE"].into_iter().filter_map(|kind| text(key(kind)?, "AttributeName"));
    names.map(|name| Key { kind: kind_of(&name), name }).collect()
}
