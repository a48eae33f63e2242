//! Which function a mapping invokes, and by which alias or version.

use std::sync::Arc;

use super::{Node, Reference, Resource, Template, Value, function};

/// A function of the template, and its alias or version.
pub(super) struct Invoked {
    pub(super) function: Arc<str>,
    pub(super) qualifier: Option<Arc<str>>,
}

impl Invoked {
    /// What `FunctionName` names: `!Ref Function`, `!GetAtt Function.Arn`, `!Ref Alias`, `!Sub ${Function}:live`.
    pub(super) fn of(name: &Node, template: &Template) -> Option<Self> {
        match &name.value {
            Value::Resource(reference) => Self::of_reference(reference, template),
            Value::Unknown(about) => Self::generated(about.strip_prefix("Ref ").unwrap_or(about), template),
            Value::Scalar(scalar) => Self::qualified(&scalar.text, template),
            _ => None,
        }
    }

    fn of_reference(reference: &Reference, template: &Template) -> Option<Self> {
        let resource = template.target(reference)?;
        if is_qualifier(resource) {
            return Some(Self::by(resource, template));
        }
        let qualifier = match reference.attribute.as_deref() {
            Some("Alias") => published(resource, template),
            Some("Version") => Some(reference.to_string().into()),
            _ => None,
        };
        is_function(resource).then(|| Self { function: Arc::clone(&resource.id), qualifier })
    }

    /// By an alias or a version.
    fn by(resource: &Resource, template: &Template) -> Self {
        let name = match resource.is("AWS::Lambda::Alias") {
            true => resource.properties.get("Name").and_then(text),
            false => Some(format!("${{{}.Version}}", resource.id).into()),
        };
        match function_of(resource, template).zip(name) {
            Some((function, name)) => Self { function: Arc::clone(&function.id), qualifier: Some(name) },
            None => Self { function: Arc::clone(&resource.id), qualifier: None },
        }
    }

    /// What SAM makes beside a function, by its own name or by the one that SAM lets it be referred to: `FeedAliaslive`,
    /// `Feed.Alias`, `Feed.Version`.
    fn generated(name: &str, template: &Template) -> Option<Self> {
        let mut functions = template.resources().iter().filter(|it| it.is("AWS::Serverless::Function"));
        functions.find_map(|function| {
            let behind = name.strip_prefix(&*function.id)?;
            let qualifier = match behind {
                ".Version" => format!("${{{name}}}").into(),
                _ => published(function, template).filter(|alias| behind == ".Alias" || behind == id_of(alias))?,
            };
            Some(Self { function: Arc::clone(&function.id), qualifier: Some(qualifier) })
        })
    }

    /// `${Function}:live`, by itself or as the end of an ARN.
    fn qualified(text: &str, template: &Template) -> Option<Self> {
        let name = text.split_once(":function:").map_or(text, |(_, name)| name);
        let (name, behind) = name.strip_prefix("${")?.split_once('}')?;
        let id = name.split_once('.').map_or(name, |(id, _)| id);
        let function = template.resource(id).filter(|resource| is_function(resource))?;
        let qualifier = if behind.is_empty() { None } else { Some(behind.strip_prefix(':')?.into()) };
        Some(Self { function: Arc::clone(&function.id), qualifier })
    }
}

/// The alias that SAM publishes, and maps the events of a function to.
pub(super) fn published(function: &Resource, template: &Template) -> Option<Arc<str>> {
    let serverless = function.is("AWS::Serverless::Function");
    function::properties(function, template).get("AutoPublishAlias").filter(|_| serverless).and_then(text)
}

fn is_function(resource: &Resource) -> bool {
    resource.is("AWS::Lambda::Function") || resource.is("AWS::Serverless::Function")
}

/// Whether it is something by which a function is invoked.
pub(super) fn is_qualifier(resource: &Resource) -> bool {
    resource.is("AWS::Lambda::Alias") || resource.is("AWS::Lambda::Version")
}

/// The function of an alias or a version, if it is of the template.
pub(super) fn function_of<'a>(qualifier: &Resource, template: &'a Template) -> Option<&'a Resource> {
    let reference = qualifier.properties.get("FunctionName")?.reference()?;
    template.target(reference).filter(|function| !is_qualifier(function))
}

/// What SAM puts behind the function's logical id to name an alias.
fn id_of(alias: &str) -> String {
    format!("Alias{}", alias.replace('-', "D").replace('_', "U"))
}

/// The text of a value, as `Fn::Sub` would have it.
fn text(node: &Node) -> Option<Arc<str>> {
    match &node.value {
        Value::Scalar(scalar) => Some(Arc::clone(&scalar.text)),
        Value::Resource(reference) => Some(reference.to_string().into()),
        Value::Unknown(about) => Some(format!("${{{}}}", about.strip_prefix("Ref ").unwrap_or(about)).into()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}
