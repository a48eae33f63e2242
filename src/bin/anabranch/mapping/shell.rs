//! Words of a shell.

use anabranch::template::{Node, Value};

/// A value as a word. What only the deployment knows of it stands in variables, and all of it in the variable `name` where its
/// parts have no names. Nothing for what is no text.
pub(super) fn value(node: &Node, name: &str) -> Option<String> {
    match node.as_str() {
        Some(known) => Some(word(known)),
        None => text(node).map(|text| in_part(&text).unwrap_or_else(|| expanded(name))),
    }
}

/// The text of a value, where `${Name}` stands for what is not known.
pub(super) fn text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Scalar(scalar) => Some(scalar.text.to_string()),
        Value::Resource(reference) => Some(reference.to_string()),
        Value::Unknown(about) => Some(format!("${{{about}}}")),
        _ => None,
    }
}

/// A text with `${Name}` in it as a word; nothing where such a part is no name.
pub(super) fn in_part(text: &str) -> Option<String> {
    let mut quoted = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        let (part, behind) = behind.split_once('}')?;
        let name = part.strip_prefix("Ref ").unwrap_or(part);
        if !is_name(name) {
            return None;
        }
        if text.len() == "${}".len() + part.len() {
            return Some(expanded(name));
        }
        quoted.push_str(&escaped(before));
        quoted.push_str(&format!("${{{}}}", variable(name)));
        rest = behind;
    }
    Some(format!("\"{quoted}{}\"", escaped(rest)))
}

/// The variable of a name, as a word.
pub(super) fn expanded(name: &str) -> String {
    format!("\"${}\"", variable(name))
}

fn is_name(part: &str) -> bool {
    let allowed = |one: char| one.is_ascii_alphanumeric() || ".:".contains(one);
    !part.is_empty() && !part.starts_with("Fn::") && part.chars().all(allowed)
}

/// As it has to be written between double quotes.
fn escaped(text: &str) -> String {
    let escape = |one: char| if "\\\"$`".contains(one) { format!("\\{one}") } else { one.to_string() };
    text.chars().map(escape).collect()
}

/// `PetTracker.StreamArn` as the shell names it: `PET_TRACKER_STREAM_ARN`.
fn variable(name: &str) -> String {
    let mut words = String::new();
    let mut ends = false;
    for one in name.chars() {
        if one.is_ascii_alphanumeric() {
            if ends && one.is_ascii_uppercase() && !words.is_empty() {
                words.push('_');
            }
            words.push(one.to_ascii_uppercase());
        }
        ends = !one.is_ascii_uppercase();
    }
    if words.starts_with(|one: char| one.is_ascii_digit()) {
        words.insert(0, '_');
    }
    words
}

/// A text as a word: quoted where it has to be.
pub(super) fn word(text: &str) -> String {
    let plain = |one: char| one.is_ascii_alphanumeric() || "-_./:=@".contains(one);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_variables() {
        for (name, expected) in [
            ("PetTracker.StreamArn", "PET_TRACKER_STREAM_ARN"),
            ("Failures.Arn", "FAILURES_ARN"),
            ("AWS::AccountId", "AWS_ACCOUNT_ID"),
            ("Queue2Arn", "QUEUE2_ARN"),
            ("2Queue", "_2_QUEUE"),
        ] {
            assert_eq!(variable(name), expected);
        }
    }

    #[test]
    fn texts_that_are_known_in_part_have_variables_in_them() {
        for (text, expected) in [
            ("${PetTracker.StreamArn}", Some(r#""$PET_TRACKER_STREAM_ARN""#)),
            ("${Ref TableStream}", Some(r#""$TABLE_STREAM""#)),
            ("arn:aws:sqs:${AWS::Region}:1:$q", Some(r#""arn:aws:sqs:${AWS_REGION}:1:\$q""#)),
            ("${Fn::If}", None),
            ("a-${Fn::ImportValue b}", None),
            ("${{{resolve:ssm:/a}}}", None),
        ] {
            assert_eq!(in_part(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn words_are_quoted_where_they_have_to_be() {
        assert_eq!(word("arn:aws:sqs:eu-west-1:1:q"), "arn:aws:sqs:eu-west-1:1:q");
        assert_eq!(word(r#"{"a": "it's"}"#), r#"'{"a": "it'\''s"}'"#);
        assert_eq!(word(""), "''");
    }
}
