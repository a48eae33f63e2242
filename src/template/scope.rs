//! On which resources of a template a statement speaks.

use super::{Node, Resource, Statement, Template, Value, permission::matches};

impl Statement {
    /// Whether it may speak of a resource: not if all that it names are other resources of the template, for sure.
    pub(super) fn may_name(&self, target: &Resource, template: &Template) -> bool {
        self.resources.is_empty() || !self.resources.iter().all(|node| names_another(node, target, template))
    }
}

fn names_another(node: &Node, target: &Resource, template: &Template) -> bool {
    match &node.value {
        Value::Resource(reference) => is_another(&reference.resource, reference.attribute.as_deref(), target, template),
        Value::Scalar(scalar) => text_names_another(&scalar.text, target, template),
        _ => false,
    }
}

/// Two resources of one type are two things, by whatever they are named; those of different types have ARNs of their own.
fn is_another(id: &str, attribute: Option<&str>, target: &Resource, template: &Template) -> bool {
    let Some(resource) = template.resource(id).filter(|resource| resource.id != target.id) else { return false };
    let is_arn = matches!(attribute, Some("Arn" | "StreamArn" | "TopicArn"));
    resource.kind == target.kind || (is_arn && !resource.has_outputs())
}

/// `${Other.Arn}/stream/*`, or `arn:..:table/${Other}/stream/*`: what is below another one is not below the target.
fn text_names_another(text: &str, target: &Resource, template: &Template) -> bool {
    let Some((before, name, below)) = first_of_template(text) else { return false };
    let (id, attribute) = name.split_once('.').map_or((name, None), |(id, attribute)| (id, Some(attribute)));
    let is_whole = below.is_empty() || below.starts_with('/');
    let is_name = before.starts_with("arn:")
        && (before.ends_with(':') || before.ends_with(":table/"))
        && !before.contains(['*', '?'])
        && template.resource(id).is_some_and(|resource| resource.kind == target.kind);
    is_whole && (before.is_empty() || is_name) && is_another(id, attribute, target, template)
}

/// The first placeholder that is none of AWS's own, with the text before it and behind it.
fn first_of_template(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find("${")?;
        let end = start + text[start..].find('}')?;
        let name = &text[start + 2..end];
        if !name.starts_with("AWS::") {
            return Some((&text[..start], name, &text[end + 1..]));
        }
        from = end + 1;
    }
}

/// Whether a policy on the side of the resource itself may allow an action: that of a queue, a topic, a bucket or a stream.
pub(super) fn may_be_allowed_by(target: &Resource, action: &str, template: &Template) -> bool {
    let beside = template.resources().iter().filter(|resource| is_policy(resource));
    let beside = beside.filter_map(|resource| resource.properties.get("PolicyDocument"));
    let stream = |node: &'_ Node, of: &str| node.at(&[of, "ResourcePolicy", "PolicyDocument"]).cloned();
    let replicas = target.properties.get("Replicas").map(Node::one_or_more).unwrap_or_default();
    let of_replicas = replicas.iter().filter_map(|replica| stream(replica, "ReplicaStreamSpecification"));
    let of_table = stream(&target.properties, "StreamSpecification");
    let mut documents = beside.cloned().chain(of_table).chain(of_replicas);
    documents.any(|document| may_allow(&document, action))
}

fn is_policy(resource: &Resource) -> bool {
    let kinds = [
        "AWS::SQS::QueuePolicy",
        "AWS::SQS::QueueInlinePolicy",
        "AWS::SNS::TopicPolicy",
        "AWS::SNS::TopicInlinePolicy",
        "AWS::S3::BucketPolicy",
    ];
    kinds.contains(&&*resource.kind)
}

/// Whether a statement may allow it to more than a service.
fn may_allow(document: &Node, action: &str) -> bool {
    let statements = document.get("Statement").map(Node::one_or_more).unwrap_or_default();
    statements.iter().any(|statement| {
        let effect = statement.get("Effect").and_then(Node::as_str);
        let principals = statement.get("Principal").map(Node::entries).unwrap_or_default();
        let to_services = !principals.is_empty() && principals.iter().all(|entry| &*entry.key == "Service");
        let actions = statement.get("Action").map(Node::one_or_more);
        let is_meant = |node: &Node| node.as_str().is_none_or(|pattern| matches(pattern, action));
        effect != Some("Deny") && !to_services && actions.is_none_or(|actions| actions.iter().any(is_meant))
    })
}

#[cfg(test)]
mod tests {
    use crate::template::Template;

    const TEMPLATE: &str = "
Parameters:
  Queue: {Type: String}
Resources:
  Failures: {Type: 'AWS::SQS::Queue'}
  Other: {Type: 'AWS::SQS::Queue'}
  News: {Type: 'AWS::SNS::Topic'}
  Pets: {Type: 'AWS::DynamoDB::Table'}
  Others: {Type: 'AWS::DynamoDB::Table'}
  Lookup: {Type: 'Custom::Lookup'}
  Role:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyDocument: {Statement: [{Effect: Allow, Action: [ACTION], Resource: RESOURCE}]}
  Feed: {Type: 'AWS::Lambda::Function', Properties: {Role: !GetAtt Role.Arn}}
";

    fn allowed(action: &str, target: &str, resource: &str) -> bool {
        let text = TEMPLATE.replace("ACTION", &format!("'{action}'")).replace("RESOURCE", resource);
        let template = Template::parse("t", &text).expect("a template");
        let function = template.function("Feed").expect("a function");
        let target = template.resource(target).expect("a resource");
        function.permissions.allows_on(action, target, &template).expect("a role that is known")
    }

    #[test]
    fn a_statement_that_names_other_resources_for_sure_does_not_count() {
        for (resource, expected) in [
            ("!GetAtt Failures.Arn", true),
            ("[!GetAtt Other.Arn, !GetAtt Failures.Arn]", true),
            ("'*'", true),
            ("'arn:aws:sqs:eu-west-1:123456789012:other'", true),
            ("!Ref Queue", true),
            ("!ImportValue queue", true),
            ("!GetAtt Lookup.Arn", true),
            ("!Ref News", true),
            ("!Sub '${Other.Arn}*'", true),
            ("!Sub 'arn:aws:sqs:*:*:${Other.QueueName}'", true),
            ("!Sub 'arn:aws:sqs:eu-west-1:${AWS::AccountId}:${Other.QueueName}-failures'", true),
            ("!Sub 'arn:aws:sqs:eu-west-1:${AWS::AccountId}:my-${Other.QueueName}'", true),
            ("!Sub 'arn:aws:sqs:eu-west-1:${AWS::AccountId}:${Queue}'", true),
            ("!Sub 'arn:aws:sqs:eu-west-1:${AWS::AccountId}:${Pets}'", true),
            ("!GetAtt Other.Arn", false),
            ("[!GetAtt Other.Arn, !GetAtt Pets.Arn, !GetAtt News.TopicArn]", false),
            ("!Ref Other", false),
            ("!Sub '${Pets.Arn}/index/*'", false),
            ("!Sub 'arn:aws:sqs:eu-west-1:${AWS::AccountId}:${Other.QueueName}'", false),
        ] {
            assert_eq!(allowed("sqs:SendMessage", "Failures", resource), expected, "{resource}");
        }
    }

    #[test]
    fn what_is_below_another_table_is_not_below_this_one() {
        for (resource, expected) in [
            ("!GetAtt Pets.StreamArn", true),
            ("!Sub '${Pets.Arn}/stream/*'", true),
            ("!Sub 'arn:aws:dynamodb:eu-west-1:${AWS::AccountId}:table/${Pets}/stream/*'", true),
            ("!Sub 'arn:aws:dynamodb:eu-west-1:${AWS::AccountId}:table/${Others}*'", true),
            ("!GetAtt Others.StreamArn", false),
            ("!Sub '${Others.Arn}/stream/*'", false),
            ("!Sub 'arn:aws:dynamodb:eu-west-1:${AWS::AccountId}:table/${Others}/stream/*'", false),
        ] {
            assert_eq!(allowed("dynamodb:GetRecords", "Pets", resource), expected, "{resource}");
        }
    }
}
