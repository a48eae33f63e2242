#![doc = include_str!("../docs/template.md")]

mod error;
mod function;
mod invoked;
mod mapping;
mod node;
mod permission;
mod read;
mod resolve;
mod scope;
mod setting;
mod table;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

pub use error::TemplateError;
pub use function::{Function, Variable};
pub use mapping::{Filter, Mapping, Source};
pub use node::{Entry, Node, Place, Reference, Scalar, Value};
pub use permission::{Permissions, Statement};
use resolve::Resolver;
pub use resolve::Undefined;
pub use setting::{Read, Setting};
pub use table::{Key, Table};

const LANGUAGE_EXTENSIONS: &str = "AWS::LanguageExtensions";

/// A SAM or CloudFormation template, with the intrinsic functions of its resources answered as far as that can be done.
///
/// ```
/// use anabranch::template::Template;
///
/// let template = Template::parse("template.yaml", "
/// Resources:
///   Pets:
///     Type: AWS::DynamoDB::Table
///     Properties:
///       StreamSpecification: {StreamViewType: NEW_IMAGE}
///   Feed:
///     Type: AWS::Serverless::Function
///     Properties:
///       Events:
///         Stream:
///           Type: DynamoDB
///           Properties: {Stream: !GetAtt Pets.StreamArn, StartingPosition: TRIM_HORIZON, BatchSize: 10}
/// ")?;
/// let mapping = &template.mappings()[0];
/// assert_eq!((&*mapping.id, mapping.batch_size.known()), ("FeedStream", Some(&10)));
/// let table = template.table_of(mapping).expect("a table of the template");
/// assert_eq!(table.stream_view.known().map(String::as_str), Some("NEW_IMAGE"));
/// # Ok::<(), anabranch::template::TemplateError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Template {
    file: Arc<str>,
    transforms: Vec<String>,
    globals: Node,
    resources: Vec<Resource>,
    undefined: Vec<Undefined>,
}

/// A resource with its properties resolved.
#[derive(Debug, Clone)]
pub struct Resource {
    /// The logical id.
    pub id: Arc<str>,
    /// Where the logical id stands.
    pub place: Place,
    /// The type: `AWS::DynamoDB::Table`.
    pub kind: Arc<str>,
    /// Whether its condition holds; nothing where that cannot be told. It holds where there is none.
    pub active: Option<bool>,
    /// What it is made with.
    pub properties: Node,
    /// What others note on it.
    pub metadata: Node,
    /// What it is made with, its functions not yet answered: what SAM looks at.
    written: Node,
    /// Whether SAM connects it to others, and gives permissions for that.
    connects: bool,
    /// Which properties of `Globals` it does without.
    ignored_globals: Node,
}

impl Template {
    /// Reads a file, with the parameters' defaults.
    ///
    /// # Errors
    /// It cannot be read, is neither YAML nor JSON, or no template.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, TemplateError> {
        Self::read_with(path, &BTreeMap::new())
    }

    /// Reads a file, with these values of parameters in place of their defaults.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_with(path: impl AsRef<Path>, parameters: &BTreeMap<String, String>) -> Result<Self, TemplateError> {
        let file = path.as_ref().display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse_with(&file, &text, parameters),
            Err(source) => Err(TemplateError::File { file: file.into(), source }),
        }
    }

    /// Reads a text; `file` is what errors and findings call it.
    ///
    /// # Errors
    /// The text is neither YAML nor JSON, or no template.
    pub fn parse(file: &str, text: &str) -> Result<Self, TemplateError> {
        Self::parse_with(file, text, &BTreeMap::new())
    }

    /// Reads a text, with these values of parameters in place of their defaults.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_with(file: &str, text: &str, parameters: &BTreeMap<String, String>) -> Result<Self, TemplateError> {
        let file = Arc::from(file);
        let root = read::read(&file, text)?;
        let Some(Value::Map(entries)) = root.get("Resources").map(|node| &node.value) else {
            return Err(TemplateError::NoResources { file });
        };
        let ids: BTreeSet<&str> = entries.iter().map(|entry| &*entry.key).collect();
        let (given, undefined) = (parameters, RefCell::default());
        let resolver = Resolver { root: &root, given, resources: &ids, undefined, depth: 0 };
        let resources = entries.iter().filter_map(|entry| Resource::of(entry, &resolver)).collect();
        let globals = part(root.get("Globals"), &resolver, root.place);
        part(root.get("Outputs"), &resolver, root.place);
        let undefined = resolver.undefined.into_inner();
        let transforms = root.get("Transform").map(Node::one_or_more).unwrap_or_default();
        let transforms = transforms.iter().map(|node| node.as_str().unwrap_or("").to_owned()).collect();
        Ok(Self { file, transforms, globals, resources, undefined })
    }

    /// What the template is called in errors and findings.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// All resources, in the order of the file.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// The resource of a logical id.
    pub fn resource(&self, id: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| &*resource.id == id)
    }

    /// The resource that a reference names.
    pub fn target(&self, reference: &Reference) -> Option<&Resource> {
        self.resource(&reference.resource)
    }

    /// The tables.
    pub fn tables(&self) -> Vec<Table> {
        self.resources.iter().filter_map(Table::of).collect()
    }

    /// The functions, with what `Globals` says of all of them.
    pub fn functions(&self) -> Vec<Function> {
        self.resources.iter().filter_map(|resource| Function::of(resource, self)).collect()
    }

    /// The function of a logical id, or the one that an alias or a version of that id belongs to.
    pub fn function(&self, id: &str) -> Option<Function> {
        let resource = self.resource(id)?;
        let function = if invoked::is_qualifier(resource) { invoked::function_of(resource, self)? } else { resource };
        Function::of(function, self)
    }

    /// The event source mappings of DynamoDB streams: events of SAM functions, and `AWS::Lambda::EventSourceMapping`.
    ///
    /// A mapping whose source nobody can tell counts if the name of that source speaks of DynamoDB or of a table.
    pub fn mappings(&self) -> Vec<Mapping> {
        self.resources.iter().flat_map(|resource| Mapping::all_of(resource, self)).collect()
    }

    /// The table whose stream a mapping reads, if it is one of this template.
    pub fn table_of(&self, mapping: &Mapping) -> Option<Table> {
        match &mapping.stream {
            Source::Resource(reference) => Table::of(self.target(reference)?),
            Source::Arn(_) | Source::Unknown(_) => None,
        }
    }

    /// Names that the template uses and does not have, unless a transform may supply them.
    pub fn undefined(&self) -> Vec<&Undefined> {
        let looped = self.resources.iter().any(|resource| resource.id.starts_with("Fn::"));
        if looped || self.has_macros() {
            return Vec::new();
        }
        self.undefined.iter().filter(|undefined| !self.is_generated(&undefined.name)).collect()
    }

    /// Whether a macro may change anything of it.
    pub(crate) fn has_macros(&self) -> bool {
        let knows = |name: &String| matches!(&**name, "AWS::Serverless-2016-10-31" | LANGUAGE_EXTENSIONS);
        !self.transforms.iter().all(knows)
    }

    /// Whether functions may be answered before SAM sees them.
    pub(crate) fn extends_language(&self) -> bool {
        self.transforms.iter().any(|name| name == LANGUAGE_EXTENSIONS)
    }

    /// SAM makes resources of its own: `FeedRole`, `FeedAliaslive`, `ServerlessRestApi`.
    fn is_generated(&self, name: &str) -> bool {
        let of_sam = |resource: &Resource| resource.kind.starts_with("AWS::Serverless::");
        let generates = |resource: &&Resource| of_sam(resource) && name.starts_with(&*resource.id);
        name.starts_with("Serverless") || self.resources.iter().find(generates).is_some()
    }
}

/// Types of AWS whose attributes say what somebody else has put there.
const OUTPUTS: [&str; 6] = [
    "AWS::CloudFormation::CustomResource",
    "AWS::CloudFormation::Stack",
    "AWS::CloudFormation::WaitCondition",
    "AWS::SSM::Parameter",
    "AWS::Serverless::Application",
    "AWS::ServiceCatalog::CloudFormationProvisionedProduct",
];

impl Resource {
    fn of(entry: &Entry, resolver: &Resolver<'_>) -> Option<Self> {
        let node = &entry.value;
        let kind = node.get("Type").and_then(Node::as_str).unwrap_or_default();
        let condition = node.get("Condition").and_then(Node::as_str);
        Some(Self {
            id: Arc::clone(&entry.key),
            place: entry.place,
            kind: kind.into(),
            active: condition.map_or(Some(true), |name| resolver.holds(name)),
            properties: part(node.get("Properties"), resolver, entry.place),
            metadata: part(node.get("Metadata"), resolver, entry.place),
            written: node.get("Properties").cloned().unwrap_or(Node { place: entry.place, value: Value::Null }),
            connects: node.get("Connectors").is_some(),
            ignored_globals: part(node.get("IgnoreGlobals"), resolver, entry.place),
        })
    }

    /// Whether it has outputs of its own, which may be anything: a nested stack, a custom resource, a looked up parameter.
    pub fn has_outputs(&self) -> bool {
        OUTPUTS.contains(&&*self.kind) || !self.kind.starts_with("AWS::")
    }

    /// Whether it is of this type.
    pub fn is(&self, kind: &str) -> bool {
        &*self.kind == kind
    }
}

/// A section with its functions answered, or an empty one.
fn part(node: Option<&Node>, resolver: &Resolver<'_>, place: Place) -> Node {
    node.and_then(|node| resolver.resolve(node)).unwrap_or(Node { place, value: Value::Null })
}

#[cfg(test)]
mod tests;
