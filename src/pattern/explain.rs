//! Why a pattern does or does not match: the slow way, path by path.

use std::fmt;

use serde::{Serialize, Serializer};

use super::{
    criteria::{FilterCriteria, Pattern},
    error::NotARecord,
    json::{self, Json, Value},
    operator::Leaf,
    parse::{Condition, Parsed},
    program::Machine,
    warning::Warning,
};

/// How many values of a path are quoted.
const MOST_VALUES: usize = 5;
/// How many characters of a value are quoted.
const LONGEST_VALUE: usize = 80;

/// Why a pattern does or does not match a record.
///
/// It quotes values of the record, which are users' data: it is for terminals and tests, not for logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// Whether the record matches.
    pub matches: bool,
    /// What the pattern demands: one branch, or one for each combination of the objects of its `$or`. One of them has to hold.
    pub branches: Vec<Branch>,
    /// The traps in the pattern.
    #[serde(serialize_with = "as_texts")]
    pub warnings: Vec<Warning>,
}

/// Conditions that have to hold together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Branch {
    /// Whether they do.
    pub holds: bool,
    /// Whether each condition holds, but no element of a list has all that is asked of its elements.
    pub apart: bool,
    /// The conditions, in the order of the pattern.
    pub findings: Vec<Finding>,
}

/// What was found of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The field, with dots.
    pub path: String,
    /// Whether one of its alternatives holds.
    pub holds: bool,
    /// The alternatives, as JSON.
    pub wanted: String,
    /// The values there, as JSON, the first five, long ones cut; more than one in lists and sets.
    pub found: Vec<String>,
    /// Whether there is an object or array at the path, which no operator can see.
    pub branch: bool,
}

impl Pattern {
    /// Tells why the JSON of one record matches or does not.
    ///
    /// ```
    /// use anabranch::pattern::Pattern;
    ///
    /// let pattern = Pattern::parse(r#"{"eventName": ["INSERT"], "dynamodb": {"Keys": {"PK": {"S": [{"prefix": "USER#"}]}}}}"#)?;
    /// let explanation = pattern.explain(br#"{"eventName":"INSERT","dynamodb":{"Keys":{"PK":{"S":"PET#1"}}}}"#)?;
    /// assert_eq!(explanation.to_string(), r#"no match
    ///   yes  eventName: "INSERT"
    ///   no   dynamodb.Keys.PK.S: "PET#1", wanted [{"prefix":"USER#"}]
    /// "#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The bytes are no JSON object. All of them are read, unlike in [`matches_json`](Self::matches_json).
    pub fn explain(&self, record: &[u8]) -> Result<Explanation, NotARecord> {
        let text = std::str::from_utf8(record).map_err(|error| NotARecord { offset: error.valid_up_to() })?;
        let json = json::parse(text).map_err(|broken| NotARecord { offset: broken.offset })?;
        let matches = self.matches_json(record)?;
        let mut leaves = Leaves::default();
        leaves.collect(&json, "");
        let branch = |rule: &Vec<usize>| self.branch(rule, record, &leaves);
        let branches = self.parsed.rules.iter().map(branch).collect::<Result<_, _>>()?;
        Ok(Explanation { matches, branches, warnings: self.warnings() })
    }

    fn branch(&self, rule: &[usize], record: &[u8], leaves: &Leaves<'_>) -> Result<Branch, NotARecord> {
        let conditions: Vec<Condition> = rule.iter().map(|index| self.parsed.conditions[*index].clone()).collect();
        let findings: Vec<Finding> = conditions.iter().map(|condition| leaves.find(condition)).collect();
        let alone = Parsed { text: String::new(), rules: vec![(0..conditions.len()).collect()], conditions };
        let holds = Machine::of([&alone]).matches(record)?;
        Ok(Branch { holds, apart: !holds && findings.iter().all(|finding| finding.holds), findings })
    }
}

impl FilterCriteria {
    /// The same for each pattern. The criteria match if one of them does, or if there is none.
    ///
    /// # Errors
    /// The same.
    pub fn explain(&self, record: &[u8]) -> Result<Vec<Explanation>, NotARecord> {
        self.patterns().iter().map(|pattern| pattern.explain(record)).collect()
    }
}

/// All that a record says, each with its path.
#[derive(Default)]
struct Leaves<'j> {
    leaves: Vec<(String, &'j Json<'j>)>,
    branches: Vec<String>,
}

impl<'j> Leaves<'j> {
    fn collect(&mut self, json: &'j Json<'j>, path: &str) {
        match &json.value {
            Value::Object(members) => {
                self.branches.push(path.to_owned());
                for member in members {
                    let dot = if path.is_empty() { "" } else { "." };
                    self.collect(&member.value, &format!("{path}{dot}{}", member.name));
                }
            }
            Value::Array(elements) => {
                self.branches.push(path.to_owned());
                elements.iter().for_each(|element| self.collect(element, path));
            }
            _ => self.leaves.push((path.to_owned(), json)),
        }
    }

    fn find(&self, condition: &Condition) -> Finding {
        let here: Vec<&Json<'_>> =
            self.leaves.iter().filter(|(path, _)| *path == condition.path).map(|(_, json)| *json).collect();
        let holds = match here.is_empty() {
            true => condition.holds_if_absent(),
            false => here.iter().any(|json| holds(condition, &json.value)),
        };
        let wanted: Vec<&str> = condition.alternatives.iter().map(|alternative| &*alternative.text).collect();
        Finding {
            path: condition.path.clone(),
            holds,
            wanted: format!("[{}]", wanted.join(",")),
            found: here.iter().take(MOST_VALUES).map(|json| cut(json.to_string())).collect(),
            branch: here.is_empty() && self.branches.contains(&condition.path),
        }
    }
}

fn holds(condition: &Condition, value: &Value<'_>) -> bool {
    let leaf = match value {
        Value::Null => Leaf::Null,
        Value::Bool(value) => Leaf::Bool(*value),
        Value::Number(digits) => Leaf::Number(digits.as_bytes()),
        Value::Text(text) => Leaf::Text(text.as_bytes().into()),
        Value::Array(_) | Value::Object(_) => return false,
    };
    condition.alternatives.iter().any(|alternative| alternative.operator.holds(&leaf))
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_VALUE) {
        text.truncate(end);
        text.push_str("..");
    }
    text
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", if self.matches { "match" } else { "no match" })?;
        for (index, branch) in self.branches.iter().enumerate() {
            if self.branches.len() > 1 {
                let mark = if branch.holds { "holds" } else { "does not hold" };
                writeln!(f, "  branch {} of {} {mark}", index + 1, self.branches.len())?;
            }
            branch.fmt(f)?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "  warning: {warning}"))
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.findings.iter().try_for_each(|finding| writeln!(f, "  {finding}"))?;
        if self.apart {
            writeln!(f, "  no   element of a list has all that is asked of its elements")?;
        }
        Ok(())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = match (&*self.found, self.branch) {
            ([], false) => "not there".to_owned(),
            ([], true) => "an object, not a value".to_owned(),
            (values, _) => values.join(", "),
        };
        let mark = if self.holds { "yes" } else { "no " };
        write!(f, "{mark}  {}: {found}", self.path)?;
        if self.holds { Ok(()) } else { write!(f, ", wanted {}", self.wanted) }
    }
}

fn as_texts<S: Serializer>(warnings: &[Warning], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(warnings.iter().map(Warning::to_string))
}
