//! From the JSON of a pattern to its conditions, and to the rules that say which of them must hold together.

use super::{
    error::{MAX_CHARACTERS, MAX_CONDITIONS, PatternError, PatternReason},
    json::{self, Json, Member, Value},
    operator::{Cidr, End, Number, Operator, Others, Range, TextTest, Wildcard},
};

/// A field of a pattern with its alternatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    /// The names of the fields that lead to it, as they were written.
    pub(super) keys: Vec<String>,
    /// The same with a dot between them: dotted names are nested fields in another notation (ESM-24).
    pub(super) path: String,
    /// Where the alternatives begin.
    pub(super) offset: usize,
    pub(super) alternatives: Vec<Alternative>,
}

/// One alternative of a field, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alternative {
    pub(super) offset: usize,
    pub(super) operator: Operator,
    /// Compact JSON.
    pub(super) text: String,
    /// Whether the same object holds further operators, which do not count (ESM-24).
    pub(super) more: bool,
}

impl Condition {
    /// Whether the condition holds where the field is missing.
    pub(super) fn holds_if_absent(&self) -> bool {
        self.alternatives.iter().any(|alternative| alternative.operator == Operator::Exists(false))
    }
}

/// Conditions that must hold together, as indexes. A record matches if one rule of its pattern holds.
pub(super) type Rule = Vec<usize>;

/// A pattern, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parsed {
    /// Compact JSON.
    pub(super) text: String,
    pub(super) conditions: Vec<Condition>,
    pub(super) rules: Vec<Rule>,
}

type Read<T> = Result<T, PatternError>;

pub(super) fn parse(text: &str) -> Read<Parsed> {
    let mut parser = Parser { conditions: Vec::new(), path: Vec::new() };
    let characters = text.chars().count();
    if characters > MAX_CHARACTERS {
        return Err(parser.error(0, PatternReason::TooLong { characters }));
    }
    let json = json::parse(text)?;
    let Value::Object(members) = &json.value else {
        return Err(parser.error(json.offset, PatternReason::NotAnObject { found: json.value.kind() }));
    };
    let rules = parser.object(members, json.offset, vec![Rule::new()], false)?;
    Ok(Parsed { text: json.to_string(), conditions: parser.conditions, rules })
}

struct Parser {
    conditions: Vec<Condition>,
    path: Vec<String>,
}

impl Parser {
    /// Adds what an object demands to every rule.
    fn object(&mut self, members: &[Member<'_>], offset: usize, mut rules: Vec<Rule>, in_or: bool) -> Read<Vec<Rule>> {
        if members.is_empty() {
            return Err(self.error(offset, PatternReason::EmptyObject));
        }
        for member in members {
            if member.name == "$or" {
                rules = self.or(&member.value, rules)?;
                continue;
            }
            if in_or && OPERATORS.contains(&&*member.name) {
                let name = member.name.to_string();
                return Err(self.error(member.offset, PatternReason::OperatorAsField { name }));
            }
            self.path.push(member.name.to_string());
            rules = self.field(&member.value, rules, in_or)?;
            self.path.pop();
        }
        Ok(rules)
    }

    fn field(&mut self, json: &Json<'_>, mut rules: Vec<Rule>, in_or: bool) -> Read<Vec<Rule>> {
        match &json.value {
            Value::Object(members) => self.object(members, json.offset, rules, in_or),
            Value::Array(alternatives) => {
                self.condition(alternatives, json.offset, &mut rules)?;
                Ok(rules)
            }
            other => Err(self.error(json.offset, PatternReason::BareValue { found: other.kind() })),
        }
    }

    /// Each rule once with each of the objects.
    fn or(&mut self, json: &Json<'_>, rules: Vec<Rule>) -> Read<Vec<Rule>> {
        let bad = || self.error(json.offset, PatternReason::BadOr);
        let Value::Array(branches) = &json.value else { return Err(bad()) };
        if branches.len() < 2 {
            return Err(bad());
        }
        let mut all = Vec::new();
        for branch in branches {
            let Value::Object(members) = &branch.value else {
                return Err(self.error(branch.offset, PatternReason::BadOr));
            };
            all.extend(self.object(members, branch.offset, rules.clone(), true)?);
            self.check_size(&all, branch.offset)?;
        }
        Ok(all)
    }

    fn condition(&mut self, alternatives: &[Json<'_>], offset: usize, rules: &mut [Rule]) -> Read<()> {
        if alternatives.is_empty() {
            return Err(self.error(offset, PatternReason::NoAlternatives));
        }
        let alternatives = alternatives.iter().map(|json| self.alternative(json)).collect::<Read<_>>()?;
        let path = self.path.join(".");
        let index = self.conditions.len();
        for rule in &mut *rules {
            // The same field once more, in another notation or outside of `$or`: the last one counts.
            rule.retain(|earlier| self.conditions[*earlier].path != path);
            rule.push(index);
        }
        self.conditions.push(Condition { keys: self.path.clone(), path, offset, alternatives });
        self.check_size(rules, offset)
    }

    fn check_size(&self, rules: &[Rule], offset: usize) -> Read<()> {
        let conditions: usize = rules.iter().map(|rule| rule.len().max(1)).sum();
        if conditions > MAX_CONDITIONS { Err(self.error(offset, PatternReason::TooComplex)) } else { Ok(()) }
    }

    fn alternative(&self, json: &Json<'_>) -> Read<Alternative> {
        let (operator, more) = match &json.value {
            Value::Null => (Operator::Null, false),
            Value::Bool(value) => (Operator::Bool(*value), false),
            Value::Number(text) => (Operator::Number(Number::new(text)), false),
            Value::Text(text) => (Operator::Text(TextTest::Equals((&**text).into())), false),
            Value::Array(_) => return Err(self.error(json.offset, PatternReason::NestedArray)),
            Value::Object(members) => match &**members {
                [] => return Err(self.error(json.offset, PatternReason::EmptyObject)),
                [first, more @ ..] => (self.operator(first)?, !more.is_empty()),
            },
        };
        Ok(Alternative { offset: json.offset, operator, text: json.to_string(), more })
    }

    fn operator(&self, member: &Member<'_>) -> Read<Operator> {
        let operand = &member.value;
        match &*member.name {
            "exists" => match operand.value {
                Value::Bool(expected) => Ok(Operator::Exists(expected)),
                _ => Err(self.bad(operand, "exists", "true or false")),
            },
            "numeric" => self.numeric(operand).map(Operator::Numeric),
            "anything-but" => self.anything_but(operand).map(Operator::AnythingBut),
            "prefix" | "suffix" if matches!(operand.value, Value::Object(_)) => self.ignoring_case(member),
            _ => self.text_test(member).map(Operator::Text),
        }
    }

    fn text_test(&self, member: &Member<'_>) -> Read<TextTest> {
        let name = OPERATORS
            .iter()
            .find(|name| **name == member.name && !matches!(**name, "exists" | "numeric" | "anything-but"));
        let Some(name) = name else {
            return Err(self.error(member.offset, PatternReason::UnknownOperator { name: member.name.to_string() }));
        };
        self.test_of(name, &member.value)
    }

    /// A test with one text as its operand.
    fn test_of(&self, name: &'static str, operand: &Json<'_>) -> Read<TextTest> {
        let Value::Text(text) = &operand.value else { return Err(self.bad(operand, name, "a text")) };
        let text = &**text;
        match name {
            "prefix" => Ok(TextTest::Prefix(text.into())),
            "suffix" => Ok(TextTest::Suffix(text.into())),
            "equals-ignore-case" => Ok(TextTest::EqualsIgnoreCase(text.into())),
            "wildcard" => {
                Wildcard::parse(text).map(TextTest::Wildcard).ok_or_else(|| self.bad(operand, name, WILDCARD))
            }
            _ => Cidr::parse(text).map(TextTest::Cidr).ok_or_else(|| self.bad(operand, name, CIDR)),
        }
    }

    /// `{"prefix": {"equals-ignore-case": ".."}}`, and the same with a suffix.
    fn ignoring_case(&self, member: &Member<'_>) -> Read<Operator> {
        let prefix = member.name == "prefix";
        let name = if prefix { "prefix" } else { "suffix" };
        let inner = match &member.value.value {
            Value::Object(members) => members.first().filter(|inner| inner.name == "equals-ignore-case"),
            _ => None,
        };
        match inner.map(|inner| &inner.value.value) {
            Some(Value::Text(text)) if prefix => Ok(Operator::Text(TextTest::PrefixIgnoreCase((&**text).into()))),
            Some(Value::Text(text)) => Ok(Operator::Text(TextTest::SuffixIgnoreCase((&**text).into()))),
            _ => Err(self.bad(&member.value, name, "a text, or equals-ignore-case with a text")),
        }
    }

    fn numeric(&self, operand: &Json<'_>) -> Read<Range> {
        let terms: Vec<&Value<'_>> = match &operand.value {
            Value::Array(terms) => terms.iter().map(|term| &term.value).collect(),
            _ => Vec::new(),
        };
        let end = |number: &str, operator: &str| {
            Some(End { number: Number::new(number), inclusive: operator.ends_with('=') })
        };
        let range = match terms[..] {
            [Value::Text(operator), Value::Number(number)] => match &**operator {
                "=" => Some(Range::only(Number::new(number))),
                ">" | ">=" => Some(Range { from: end(number, operator), to: None }),
                "<" | "<=" => Some(Range { from: None, to: end(number, operator) }),
                _ => None,
            },
            [Value::Text(above), Value::Number(from), Value::Text(below), Value::Number(to)]
                if matches!(&**above, ">" | ">=") && matches!(&**below, "<" | "<=") =>
            {
                Some(Range { from: end(from, above), to: end(to, below) })
            }
            _ => None,
        };
        range.filter(|range| !range.is_empty()).ok_or_else(|| self.bad(operand, "numeric", NUMERIC))
    }

    fn anything_but(&self, operand: &Json<'_>) -> Read<Others> {
        match &operand.value {
            Value::Object(members) => self.anything_but_test(members, operand),
            _ => self.anything_but_values(listed(operand), operand),
        }
    }

    fn anything_but_values(&self, values: &[Json<'_>], operand: &Json<'_>) -> Read<Others> {
        let numbers: Option<Box<[Number]>> = values.iter().map(number_of).collect();
        let texts: Option<Box<[TextTest]>> = values.iter().map(equals).collect();
        match (numbers, texts) {
            _ if values.is_empty() => Err(self.bad(operand, "anything-but", ANYTHING_BUT)),
            (Some(numbers), _) => Ok(Others::Numbers(numbers)),
            (_, Some(texts)) => Ok(Others::Texts(texts)),
            _ => Err(self.bad(operand, "anything-but", ANYTHING_BUT)),
        }
    }

    /// `anything-but` with a test of texts in it.
    fn anything_but_test(&self, members: &[Member<'_>], operand: &Json<'_>) -> Read<Others> {
        let known = ["prefix", "suffix", "equals-ignore-case", "wildcard"];
        let [Member { name, value, .. }] = members else { return Err(self.bad(operand, "anything-but", ANYTHING_BUT)) };
        let Some(name) = known.into_iter().find(|known| known == name) else {
            return Err(self.bad(operand, "anything-but", ANYTHING_BUT));
        };
        let texts = listed(value);
        let empty = |json: &Json<'_>| matches!(&json.value, Value::Text(text) if text.is_empty());
        if texts.is_empty() || matches!(name, "prefix" | "suffix") && texts.iter().any(empty) {
            return Err(self.bad(
                value,
                "anything-but",
                "no empty list, prefix or suffix: it would exclude everything or nothing",
            ));
        }
        Ok(Others::Texts(texts.iter().map(|text| self.test_of(name, text)).collect::<Read<_>>()?))
    }

    fn bad(&self, at: &Json<'_>, operator: &'static str, expected: &'static str) -> PatternError {
        self.error(at.offset, PatternReason::BadOperand { operator, expected })
    }

    fn error(&self, offset: usize, reason: PatternReason) -> PatternError {
        PatternError::new(&self.path, offset, reason)
    }
}

/// The names of all operators, case-sensitive (ESM-24).
pub(super) const OPERATORS: [&str; 8] =
    ["prefix", "suffix", "equals-ignore-case", "wildcard", "cidr", "exists", "numeric", "anything-but"];

const WILDCARD: &str = "a text in which no two * stand side by side and \\ stands before * or \\ only";
const CIDR: &str = "a block of addresses such as 10.0.0.0/24 or 2001:db8::/32";
const NUMERIC: &str =
    "[\"=\", n], or one end of a range such as [\">=\", n], or both with the lower first: [\">\", n, \"<=\", m]";
const ANYTHING_BUT: &str =
    "a text, a number, a list of either, or one of prefix, suffix, equals-ignore-case and wildcard";

/// The elements of an array, or the one value that stands in its place.
fn listed<'j, 'a>(json: &'j Json<'a>) -> &'j [Json<'a>] {
    match &json.value {
        Value::Array(elements) => elements,
        _ => std::slice::from_ref(json),
    }
}

fn number_of(json: &Json<'_>) -> Option<Number> {
    match &json.value {
        Value::Number(text) => Some(Number::new(text)),
        _ => None,
    }
}

fn equals(json: &Json<'_>) -> Option<TextTest> {
    match &json.value {
        Value::Text(text) => Some(TextTest::Equals((&**text).into())),
        _ => None,
    }
}
