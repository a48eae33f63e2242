//! What a function may do: the statements of its role.

use super::{Node, Place, Reference, Resource, Setting, Template, Value, scope};

const STREAM: &[&str] =
    &["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"];
const READ: &[&str] =
    &["dynamodb:GetItem", "dynamodb:Scan", "dynamodb:Query", "dynamodb:BatchGetItem", "dynamodb:DescribeTable"];
const WRITE: &[&str] = &["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:BatchWriteItem"];
const CRUD: &[&str] = &[
    "dynamodb:GetItem",
    "dynamodb:DeleteItem",
    "dynamodb:PutItem",
    "dynamodb:Scan",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:BatchGetItem",
    "dynamodb:DescribeTable",
    "dynamodb:ConditionCheckItem",
];

/// SAM's policy templates that speak of what we look at: their actions, and the parameter that names the resource.
const POLICY_TEMPLATES: [(&str, &[&str], &str); 6] = [
    ("DynamoDBCrudPolicy", CRUD, "TableName"),
    ("DynamoDBReadPolicy", READ, "TableName"),
    ("DynamoDBWritePolicy", WRITE, "TableName"),
    ("DynamoDBStreamReadPolicy", STREAM, "TableName"),
    ("SQSSendMessagePolicy", &["sqs:SendMessage*"], "QueueName"),
    ("SNSPublishMessagePolicy", &["sns:Publish"], "TopicName"),
];

/// The statements that a function's role is known to have.
#[derive(Debug, Clone, Default)]
pub struct Permissions {
    /// They allow something; those that deny are left out, and make the list incomplete.
    pub statements: Vec<Statement>,
    /// Whether there is no other: every policy of the role was read.
    pub is_complete: bool,
}

/// A statement that allows something.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Where it stands.
    pub place: Place,
    /// What it allows: `dynamodb:PutItem`, with `*` and `?` as in IAM.
    pub actions: Vec<String>,
    /// On what.
    pub resources: Vec<Node>,
}

impl Statement {
    /// Whether it allows an action.
    pub fn allows(&self, action: &str) -> bool {
        self.actions.iter().any(|pattern| matches(pattern, action))
    }

    /// Whether it speaks of the items of a table: by the table's ARN, not by that of its stream or of an index.
    pub fn names_items_of(&self, table: &str) -> bool {
        let (name, arn) = (format!("${{{table}}}"), format!("${{{table}.Arn}}"));
        let ends_there = |text: &str| [&name, &arn].iter().any(|part| text.trim_end_matches('*').ends_with(&***part));
        self.resources.iter().any(|node| match node.reference() {
            Some(reference) => ends_there(&reference.to_string()),
            None => node.scalar().is_some_and(|scalar| ends_there(&scalar.text)),
        })
    }
}

impl Permissions {
    /// The statements that allow an action.
    pub fn allowing<'a>(&'a self, action: &'a str) -> impl Iterator<Item = &'a Statement> {
        self.statements.iter().filter(move |statement| statement.allows(action))
    }

    /// Whether an action is allowed on anything; nothing where that cannot be told.
    pub fn allows(&self, action: &str) -> Option<bool> {
        let found = self.allowing(action).next().is_some();
        (found || self.is_complete).then_some(found)
    }

    /// Whether an action is allowed on a resource of the template; nothing where that cannot be told.
    ///
    /// A statement counts unless all that it names are other resources of the template, for sure.
    pub fn allows_on(&self, action: &str, target: &Resource, template: &Template) -> Option<bool> {
        let found = self.allowing(action).any(|statement| statement.may_name(target, template));
        let is_told = found || (self.is_complete && !scope::may_be_allowed_by(target, action, template));
        is_told.then_some(found)
    }

    pub(super) fn of(function: &Resource, properties: &Node, template: &Template) -> Self {
        let mut found = Self { statements: Vec::new(), is_complete: !has_connectors(template) };
        match (properties.get("Role"), function.is("AWS::Serverless::Function")) {
            (Some(role), _) => match role.reference().and_then(|reference| template.target(reference)) {
                Some(role) if role.is("AWS::IAM::Role") => found.role(role, template),
                _ => found.is_complete = false,
            },
            (None, true) => found.generated_role(function, properties, template),
            (None, false) => found.is_complete = false,
        }
        found
    }

    /// The role that SAM makes.
    fn generated_role(&mut self, function: &Resource, properties: &Node, template: &Template) {
        for policy in properties.get("Policies").map(Node::one_or_more).unwrap_or_default() {
            self.sam_policy(policy);
        }
        self.invocations(properties);
        for event in properties.get("Events").map(Node::entries).unwrap_or_default() {
            if event.value.get("Type").and_then(Node::as_str) == Some("DynamoDB") {
                self.allow(event.place, STREAM, vec![Node::text(event.place, "*")]);
                self.destination(event.value.at(&["Properties", "DestinationConfig", "OnFailure"]), "Destination");
            }
        }
        self.attached(&format!("{}Role", function.id), None, template);
    }

    /// Where SAM lets the function report asynchronous invocations to.
    fn invocations(&mut self, properties: &Node) {
        self.destination(properties.get("DeadLetterQueue"), "TargetArn");
        for outcome in ["OnSuccess", "OnFailure"] {
            let destination = properties.at(&["EventInvokeConfig", "DestinationConfig", outcome]);
            self.destination(destination, "Destination");
        }
    }

    /// SAM lets the function write to a destination if its type is said.
    fn destination(&mut self, config: Option<&Node>, target: &str) {
        let Some(config) = config else { return };
        let kind = config.get("Type");
        self.is_complete &= !kind.is_some_and(Node::is_unknown);
        let actions: &[&str] = match kind.and_then(Node::as_str) {
            Some("SQS") => &["sqs:SendMessage"],
            Some("SNS") => &["sns:Publish"],
            Some("S3" | "S3Bucket") => &["s3:PutObject", "s3:ListBucket"],
            _ => return,
        };
        // Without one SAM makes its own.
        if let Some(target) = config.get(target) {
            self.allow(config.place, actions, vec![target.clone()]);
        }
    }

    fn role(&mut self, role: &Resource, template: &Template) {
        for policy in role.properties.get("Policies").map(Node::one_or_more).unwrap_or_default() {
            self.document(policy.get("PolicyDocument").unwrap_or(policy));
        }
        for managed in role.properties.get("ManagedPolicyArns").map(Node::one_or_more).unwrap_or_default() {
            self.managed(managed, template);
        }
        self.attached(&role.id, Some(role), template);
    }

    /// Policies that name the role, rather than the other way round. A role that SAM makes is no resource of the template.
    fn attached(&mut self, id: &str, role: Option<&Resource>, template: &Template) {
        let is_policy = |resource: &&Resource| {
            matches!(&*resource.kind, "AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy" | "AWS::IAM::RolePolicy")
        };
        for policy in template.resources().iter().filter(is_policy).filter(|policy| policy.active != Some(false)) {
            let roles = policy.properties.get("Roles").or(policy.properties.get("RoleName"));
            let roles = roles.map(Node::one_or_more).unwrap_or_default();
            let named: Vec<_> = roles.iter().map(|node| names(node, id, role, template)).collect();
            self.is_complete &= !named.contains(&None);
            if named.contains(&Some(true)) {
                policy.properties.get("PolicyDocument").into_iter().for_each(|document| self.document(document));
            }
        }
    }

    fn sam_policy(&mut self, policy: &Node) {
        if policy.get("Statement").is_some() {
            return self.document(policy);
        }
        let [entry] = policy.entries() else { return self.managed_name(policy) };
        match POLICY_TEMPLATES.iter().find(|(name, ..)| *name == &*entry.key) {
            Some((_, actions, parameter)) => {
                self.allow(policy.place, actions, entry.value.get(parameter).into_iter().cloned().collect());
            }
            None => self.is_complete = false,
        }
    }

    fn managed(&mut self, policy: &Node, template: &Template) {
        let of_template = policy.reference().and_then(|reference: &Reference| template.target(reference));
        match of_template.and_then(|policy| policy.properties.get("PolicyDocument")) {
            Some(document) => self.document(document),
            None => self.managed_name(policy),
        }
    }

    fn managed_name(&mut self, policy: &Node) {
        let text = policy.scalar().map_or("", |scalar| &*scalar.text);
        match text.rsplit('/').next().unwrap_or_default() {
            "AWSLambdaBasicExecutionRole" | "AWSXRayDaemonWriteAccess" | "AWSLambdaVPCAccessExecutionRole" => {}
            "AWSLambdaDynamoDBExecutionRole" => {
                self.allow(policy.place, STREAM, vec![Node::text(policy.place, "*")]);
            }
            _ => self.is_complete = false,
        }
    }

    fn document(&mut self, document: &Node) {
        self.is_complete &= !document.is_unknown();
        for statement in document.get("Statement").map(Node::one_or_more).unwrap_or_default() {
            let allows = statement.get("Effect").and_then(Node::as_str).is_none_or(|effect| effect == "Allow");
            let actions = statement.get("Action").map(Node::one_or_more).unwrap_or_default();
            self.is_complete &= allows && !actions.is_empty() && !actions.iter().any(Node::is_unknown);
            if allows {
                let actions: Vec<&str> = actions.iter().filter_map(Node::as_str).collect();
                let resources = statement.get("Resource").map(Node::one_or_more).unwrap_or_default();
                self.allow(statement.place, &actions, resources.to_vec());
            }
        }
    }

    fn allow(&mut self, place: Place, actions: &[&str], resources: Vec<Node>) {
        let actions = actions.iter().map(|&action| action.to_owned()).collect();
        self.statements.push(Statement { place, actions, resources });
    }
}

/// Whether a policy's entry names a role; nothing where that cannot be told.
fn names(entry: &Node, id: &str, role: Option<&Resource>, template: &Template) -> Option<bool> {
    match &entry.value {
        Value::Resource(reference) if &*reference.resource == id => Some(true),
        Value::Resource(reference) => template.target(reference)?.is("AWS::IAM::Role").then_some(false),
        Value::Unknown(about) => {
            let other = about.strip_prefix("Ref ").unwrap_or(about);
            let function = other.strip_suffix("Role").and_then(|function| template.resource(function));
            let is_made = function.is_some_and(|function| function.is("AWS::Serverless::Function"));
            is_made.then_some(other == id)
        }
        Value::Scalar(_) => {
            let name = Setting::<String>::of(role?.properties.get("RoleName"));
            Some(entry.as_str()? == name.known()?)
        }
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

/// Connectors give permissions that are not written anywhere.
fn has_connectors(template: &Template) -> bool {
    template.resources().iter().any(|resource| resource.is("AWS::Serverless::Connector") || resource.connects)
}

/// Whether a pattern of IAM stands for an action: `*` and `?` for any, in upper or lower case.
pub(super) fn matches(pattern: &str, action: &str) -> bool {
    fits(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase())
}

fn fits(pattern: &str, text: &str) -> bool {
    match pattern.find(['*', '?']) {
        None => pattern == text,
        Some(at) => {
            let (start, rest) = pattern.split_at(at);
            let Some(text) = text.strip_prefix(start) else { return false };
            let behind = &rest[1..];
            if rest.starts_with('?') {
                return text.chars().next().is_some_and(|one| fits(behind, &text[one.len_utf8()..]));
            }
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| fits(behind, &text[at..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_under_the_arn_of_their_table() {
        let reference = |attribute: Option<&str>| {
            Value::Resource(Reference { resource: "Pets".into(), attribute: attribute.map(Into::into) })
        };
        let place = Place { line: 1, column: 1 };
        let text = |text: &str| Node::text(place, text).value;
        for (value, expected) in [
            (reference(None), true),
            (reference(Some("Arn")), true),
            (reference(Some("StreamArn")), false),
            (text("arn:aws:dynamodb:eu-west-1:1:table/${Pets}"), true),
            (text("arn:aws:dynamodb:eu-west-1:1:table/${Pets}*"), true),
            (text("${Pets.Arn}/index/*"), false),
            (text("${Pets.Arn}/stream/*"), false),
            (text("arn:aws:dynamodb:eu-west-1:1:table/${Others}"), false),
        ] {
            let statement = Statement { place, actions: Vec::new(), resources: vec![Node { place, value }] };
            assert_eq!(statement.names_items_of("Pets"), expected, "{statement:?}");
        }
    }

    #[test]
    fn actions_match_as_in_iam() {
        for (pattern, action, expected) in [
            ("dynamodb:PutItem", "dynamodb:PutItem", true),
            ("dynamodb:putitem", "dynamodb:PutItem", true),
            ("dynamodb:*", "dynamodb:PutItem", true),
            ("*", "dynamodb:PutItem", true),
            ("dynamodb:*Item", "dynamodb:BatchWriteItem", true),
            ("dynamodb:Pu?Item", "dynamodb:PutItem", true),
            ("dynamodb:Put", "dynamodb:PutItem", false),
            ("dynamodb:*Item", "dynamodb:Query", false),
            ("dynamodb:PutItem?", "dynamodb:PutItem", false),
            ("sqs:*", "dynamodb:PutItem", false),
        ] {
            let statement = Statement {
                place: Place { line: 1, column: 1 },
                actions: vec![pattern.to_owned()],
                resources: Vec::new(),
            };
            assert_eq!(statement.allows(action), expected, "{pattern} {action}");
        }
    }
}
