//! Functions.

use std::sync::Arc;

use super::{Entry, Node, Permissions, Place, Resource, Setting, Template, Value};

/// A Lambda function of a template.
#[derive(Debug, Clone)]
pub struct Function {
    /// The logical id.
    pub id: Arc<str>,
    /// Where the logical id stands.
    pub place: Place,
    /// Whether it is a SAM function.
    pub is_serverless: bool,
    /// The name, if the template chooses one.
    pub name: Setting<String>,
    /// Where its code is: `CodeUri`.
    pub code: Setting<String>,
    /// How SAM builds it: `rust-cargolambda`.
    pub build_method: Setting<String>,
    /// The binary that `BuildProperties` picks.
    pub binary: Setting<String>,
    /// The runtime: `provided.al2023`.
    pub runtime: Setting<String>,
    /// How long an invocation may take, in seconds; 3 where nothing is said.
    pub timeout: Setting<i64>,
    /// Its memory in MB; 128 where nothing is said.
    pub memory: Setting<i64>,
    /// Concurrent invocations that are set aside for it.
    pub reserved_concurrency: Setting<i64>,
    /// Its environment, in the order of the template.
    pub environment: Vec<Variable>,
    /// What it may do.
    pub permissions: Permissions,
    /// All of its properties, those of `Globals` among them.
    pub properties: Node,
}

/// An environment variable.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    /// The name.
    pub name: Arc<str>,
    /// Where the name stands.
    pub place: Place,
    /// The value.
    pub value: Node,
}

impl Function {
    pub(super) fn of(resource: &Resource, template: &Template) -> Option<Self> {
        let is_serverless = match &*resource.kind {
            "AWS::Serverless::Function" => true,
            "AWS::Lambda::Function" => false,
            _ => return None,
        };
        let properties = properties(resource, template);
        let property = |name| properties.get(name);
        let build = |name| resource.metadata.at(&["BuildProperties", name]);
        Some(Self {
            id: Arc::clone(&resource.id),
            place: resource.place,
            is_serverless,
            name: Setting::of(property("FunctionName")),
            code: Setting::of(property("CodeUri")),
            build_method: Setting::of(resource.metadata.get("BuildMethod")),
            binary: Setting::of(build("Binary")),
            runtime: Setting::of(property("Runtime")),
            timeout: Setting::of(property("Timeout")),
            memory: Setting::of(property("MemorySize")),
            reserved_concurrency: Setting::of(property("ReservedConcurrentExecutions")),
            environment: variables(properties.at(&["Environment", "Variables"])),
            permissions: Permissions::of(resource, &properties, template),
            properties,
        })
    }

    /// The environment variable of a name.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.environment.iter().find(|variable| &*variable.name == name)
    }
}

/// The properties of a function, those of `Globals` among them.
pub(super) fn properties(function: &Resource, template: &Template) -> Node {
    let globals = template.globals.get("Function").filter(|_| function.is("AWS::Serverless::Function"));
    let globals = globals.map(|globals| without(globals, &function.ignored_globals));
    globals.map_or_else(|| function.properties.clone(), |below| over(&function.properties, &below))
}

fn variables(node: Option<&Node>) -> Vec<Variable> {
    let entries = node.map(Node::entries).unwrap_or_default();
    let variable =
        |Entry { key, place, value }: &Entry| Variable { name: key.clone(), place: *place, value: value.clone() };
    entries.iter().map(variable).collect()
}

/// `Globals` without those that a function ignores: `*`, or a list of names. What it may ignore is unknown.
fn without(globals: &Node, ignored: &Node) -> Node {
    let names = ignored.one_or_more();
    let is_named = |name: &str| names.iter().any(|node| matches!(node.as_str(), Some(it) if it == name || it == "*"));
    let left = |entry: &Entry| match names.iter().any(Node::is_unknown) {
        true => Entry { value: Node::unknown(entry.place, "IgnoreGlobals"), ..entry.clone() },
        false => entry.clone(),
    };
    let entries = globals.entries().iter().filter(|entry| !is_named(&entry.key)).map(left);
    Node { place: globals.place, value: Value::Map(entries.collect()) }
}

/// As SAM merges `Globals`: maps key by key, lists one after the other, anything else is replaced.
fn over(own: &Node, below: &Node) -> Node {
    let value = match (&own.value, &below.value) {
        (Value::Null, _) => below.value.clone(),
        (Value::Map(entries), Value::Map(global)) => {
            let merge = |entry: &Entry| match below.get(&entry.key) {
                Some(below) => Entry { value: over(&entry.value, below), ..entry.clone() },
                None => entry.clone(),
            };
            let inherited = global.iter().filter(|entry| own.entry(&entry.key).is_none()).cloned();
            Value::Map(inherited.chain(entries.iter().map(merge)).collect())
        }
        (Value::List(nodes), Value::List(global)) => Value::List(global.iter().chain(nodes.iter()).cloned().collect()),
        _ => own.value.clone(),
    };
    Node { place: own.place, value }
}
