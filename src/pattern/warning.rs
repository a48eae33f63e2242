//! The traps: patterns that Lambda takes and that do not do what they seem to say.

use std::fmt;

use super::{
    criteria::{FilterCriteria, Pattern},
    operator::{Number, Operator, Others, TextTest},
    parse::{Alternative, Condition, OPERATORS},
    shape::{Kind, Place},
};

/// A trap in a pattern: Lambda takes it, but it hardly means what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    path: String,
    offset: usize,
    trap: Trap,
}

/// What is odd about a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trap {
    /// A number is asked for where records have a number as a text: attributes of type `N` and `NS`, and sequence numbers.
    /// It never matches (ESM-22).
    NumberIsText,
    /// `exists` on something that is no leaf: true never matches, false always does (ESM-21).
    ExistsOnBranch {
        /// What was asked.
        expected: bool,
    },
    /// A value is asked for where records have an object. It never matches.
    ValueOnBranch,
    /// A value of this type never stands there.
    OtherType {
        /// What stands there.
        found: &'static str,
    },
    /// A text is asked for that is none of those that can stand there.
    OtherText {
        /// Those that can.
        known: &'static [&'static str],
    },
    /// No stream record has such a key there.
    UnknownKey {
        /// The key.
        key: String,
        /// What was probably meant, as the path from the top of the record or from here.
        meant: Option<String>,
    },
    /// The operator works in EventBridge, but Lambda does not document it.
    Undocumented {
        /// The operator, such as `wildcard` or `anything-but prefix`.
        operator: &'static str,
    },
    /// Further operators in the same object do not count (ESM-24), or are refused.
    SecondOperator,
    /// The number has more digits than AWS compares: between -5.0e9 and 5.0e9 with six decimals.
    TooPrecise,
}

impl Warning {
    fn new(condition: &Condition, offset: usize, trap: Trap) -> Self {
        Self { path: condition.path.clone(), offset, trap }
    }

    /// The path of the field, with dots.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where in the pattern, in bytes from its beginning.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// What is odd.
    pub fn trap(&self) -> &Trap {
        &self.trap
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (offset {}): {}", self.path, self.offset, self.trap)
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NumberIsText => f.write_str(
                "never matches: in the event this number is a text; use [\"5\"], prefix or anything-but with texts",
            ),
            Self::ExistsOnBranch { expected: true } => {
                f.write_str("never matches: exists works on leaves only, so name the type, such as {\"S\": [{\"exists\": true}]}")
            }
            Self::ExistsOnBranch { expected: false } => f.write_str(
                "always matches, even if the attribute is there: exists works on leaves only, so name the type, such as {\"S\": [{\"exists\": false}]}",
            ),
            Self::ValueOnBranch => {
                f.write_str("never matches: an object stands here, not a value; an attribute needs its type, such as {\"S\": [..]}")
            }
            Self::OtherType { found } => write!(f, "never matches: {found} stands here"),
            Self::OtherText { known } => write!(f, "never matches: only {} can stand here", known.join(", ")),
            Self::UnknownKey { key, meant: Some(meant) } => write!(f, "no stream record has {key:?} here; {meant} was meant?"),
            Self::UnknownKey { key, meant: None } => write!(f, "no stream record has {key:?} here"),
            Self::Undocumented { operator } => {
                write!(f, "{operator} works in EventBridge, but is not among the operators that Lambda documents")
            }
            Self::SecondOperator => f.write_str("of several operators in one object only the first counts; give each an object"),
            Self::TooPrecise => f.write_str("AWS compares numbers from -5.0e9 to 5.0e9 with six decimals, and refuses others"),
        }
    }
}

impl Pattern {
    /// The traps in the pattern, in the order of its conditions. Matching follows AWS, into every one of them.
    ///
    /// ```
    /// use anabranch::pattern::{Pattern, Trap};
    ///
    /// let pattern = Pattern::parse(r#"{"dynamodb": {"NewImage": {"weightKg": {"N": [{"numeric": [">", 100]}]}}}}"#)?;
    /// assert_eq!(pattern.warnings()[0].trap(), &Trap::NumberIsText);
    /// # Ok::<(), anabranch::pattern::PatternError>(())
    /// ```
    pub fn warnings(&self) -> Vec<Warning> {
        self.parsed.conditions.iter().flat_map(of_condition).collect()
    }
}

impl FilterCriteria {
    /// The traps in all patterns, each with the index of its pattern.
    pub fn warnings(&self) -> Vec<(usize, Warning)> {
        let of_one =
            |(index, pattern): (usize, &Pattern)| pattern.warnings().into_iter().map(move |warning| (index, warning));
        self.patterns().iter().enumerate().flat_map(of_one).collect()
    }
}

fn of_condition(condition: &Condition) -> Vec<Warning> {
    let about = |trap| Warning::new(condition, condition.offset, trap);
    let mut warnings = Vec::new();
    let place = Place::Record.follow(&condition.keys);
    if let Err((index, place)) = place {
        warnings.push(about(unknown(&condition.keys, index, place)));
    }
    for alternative in &condition.alternatives {
        let here = |trap| Warning::new(condition, alternative.offset, trap);
        let traps = [place.ok().and_then(|place| misplaced(place, &alternative.operator)), undocumented(alternative)];
        warnings.extend(traps.into_iter().flatten().map(here));
        warnings.extend(alternative.more.then(|| here(Trap::SecondOperator)));
        warnings.extend(too_precise(&alternative.operator).then(|| here(Trap::TooPrecise)));
    }
    warnings
}

/// What is odd about an operator at a place.
fn misplaced(place: Place, operator: &Operator) -> Option<Trap> {
    match (place, operator) {
        (Place::Leaf(kind), operator) => mistyped(kind, operator),
        (_, Operator::Exists(expected)) => Some(Trap::ExistsOnBranch { expected: *expected }),
        _ => Some(Trap::ValueOnBranch),
    }
}

fn mistyped(kind: Kind, operator: &Operator) -> Option<Trap> {
    let number =
        matches!(operator, Operator::Number(_) | Operator::Numeric(_) | Operator::AnythingBut(Others::Numbers(_)));
    let text = matches!(operator, Operator::Text(_) | Operator::AnythingBut(Others::Texts(_)));
    match kind {
        _ if matches!(operator, Operator::Exists(_)) => None,
        Kind::TextOfNumber if number => Some(Trap::NumberIsText),
        Kind::Text | Kind::TextOfNumber | Kind::OneOf(_) if !text => Some(Trap::OtherType { found: "a text" }),
        Kind::OneOf(known) => foreign(operator, known).then_some(Trap::OtherText { known }),
        Kind::Number if !number => Some(Trap::OtherType { found: "a number" }),
        Kind::Bool if !matches!(operator, Operator::Bool(_)) => Some(Trap::OtherType { found: "true or false" }),
        _ => None,
    }
}

/// Whether exactly one text is asked for, which is none of the known.
fn foreign(operator: &Operator, known: &[&str]) -> bool {
    matches!(operator, Operator::Text(TextTest::Equals(text)) if !known.contains(&&**text))
}

fn undocumented(alternative: &Alternative) -> Option<Trap> {
    let operator = match &alternative.operator {
        Operator::Text(test) => undocumented_test(test, false)?,
        Operator::AnythingBut(Others::Texts(tests)) => undocumented_test(tests.first()?, true)?,
        _ => return None,
    };
    Some(Trap::Undocumented { operator })
}

fn undocumented_test(test: &TextTest, but: bool) -> Option<&'static str> {
    match test {
        TextTest::Wildcard(_) => Some(if but { "anything-but wildcard" } else { "wildcard" }),
        TextTest::Cidr(_) => Some("cidr"),
        TextTest::PrefixIgnoreCase(_) => Some("prefix equals-ignore-case"),
        TextTest::SuffixIgnoreCase(_) => Some("suffix equals-ignore-case"),
        TextTest::Prefix(_) => but.then_some("anything-but prefix"),
        TextTest::Suffix(_) => but.then_some("anything-but suffix"),
        TextTest::EqualsIgnoreCase(_) => but.then_some("anything-but equals-ignore-case"),
        TextTest::Equals(_) => None,
    }
}

fn too_precise(operator: &Operator) -> bool {
    let numbers: Vec<&Number> = match operator {
        Operator::Numeric(range) => range.numbers().collect(),
        Operator::AnythingBut(Others::Numbers(numbers)) => numbers.iter().collect(),
        _ => return false,
    };
    numbers.iter().any(|number| number.decimal().is_beyond(b"5e9") || number.decimal().places() > 6)
}

/// A key that leads nowhere, and what was probably meant.
fn unknown(keys: &[String], index: usize, place: Place) -> Trap {
    let key = keys[index].clone();
    if OPERATORS.contains(&&*key) {
        let meant = Some(format!("the operator in an array, [{{{key:?}: ..}}],"));
        return Trap::UnknownKey { key, meant };
    }
    let meant = alike(place, &key).map(|name| format!("{name:?}")).or_else(|| elsewhere(place, &key));
    Trap::UnknownKey { key, meant }
}

/// The same name in another case.
fn alike(place: Place, key: &str) -> Option<&'static str> {
    place.members().iter().map(|(name, _)| *name).find(|name| name.eq_ignore_ascii_case(key))
}

/// The path at which the name stands, if it stands elsewhere.
fn elsewhere(place: Place, key: &str) -> Option<String> {
    let roots = [("", Place::Record), ("dynamodb.", Place::Change), ("userIdentity.", Place::Identity)];
    let known = roots.into_iter().filter(|(_, root)| *root != place);
    let mut found = known.filter_map(|(prefix, root)| Some(format!("{prefix}{}", alike(root, key)?)));
    match place {
        Place::Record | Place::Change | Place::Identity => found.next(),
        Place::Attribute | Place::KeyAttribute => Some(
            "a type such as \"S\" between an attribute and its value, or \"M\" before the name of a nested one,"
                .to_owned(),
        ),
        _ => None,
    }
}
