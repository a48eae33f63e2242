//! `anabranch filter test`.

use std::path::{Path, PathBuf};

use anabranch::{
    pattern::{Explanation, FilterCriteria},
    template::{Mapping, Template},
};
use serde::Serialize;

use super::events;
use crate::{BoxError, patterns};

/// Tell which records would reach a function, and why others would not.
///
/// Exit codes: 0 at least one record matches, 1 none does, 2 something is wrong with the patterns or the records.
///
/// The traps in patterns (numeric on an attribute of type N, exists on an attribute without its type, keys that no record
/// has) are told on the standard error.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A filter pattern; of several one has to match
    #[arg(
        short,
        long = "pattern",
        value_name = "JSON",
        required_unless_present = "template",
        conflicts_with = "template"
    )]
    patterns: Vec<String>,
    /// A SAM or CloudFormation template, of which every mapping of a DynamoDB stream is tested
    #[arg(short, long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// A parameter's value, in place of its default
    #[arg(
        long = "parameter",
        value_name = "NAME=VALUE",
        value_parser = crate::check::parameter,
        requires = "template"
    )]
    parameters: Vec<(String, String)>,
    /// Only this mapping of the template, by its logical id (FunctionEvent for an event of a SAM function)
    #[arg(short, long, value_name = "ID", requires = "template")]
    mapping: Option<String>,
    /// Events as Lambda delivers them, lists of records, or single records; - is the standard input
    #[arg(short, long = "event", value_name = "FILE", required = true, num_args = 1..)]
    events: Vec<PathBuf>,
    /// Tell why, path by path; quotes values of the records
    #[arg(long)]
    explain: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Filter criteria, and the mapping that has them.
struct Filters {
    mapping: Option<String>,
    criteria: FilterCriteria,
}

/// What became of a record.
#[derive(Serialize)]
struct Tested {
    #[serde(skip_serializing_if = "Option::is_none")]
    mapping: Option<String>,
    event: String,
    record: usize,
    matches: bool,
    /// One for each pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanations: Option<Vec<Explanation>>,
}

/// Whether a record matches.
pub(super) fn run(args: &Args) -> Result<bool, BoxError> {
    let filters = filters(args)?;
    let mut tested = Vec::new();
    for path in &args.events {
        let records = events::records(path)?;
        for filters in &filters {
            tested.extend(filters.test(path, &records, args.explain)?);
        }
    }
    let matches = tested.iter().any(|one| one.matches);
    if args.json {
        let warnings: Vec<String> = filters.iter().flat_map(Filters::warnings).collect();
        println!("{}", serde_json::json!({"matches": matches, "records": tested, "warnings": warnings}));
    } else {
        filters.iter().flat_map(Filters::warnings).for_each(|warning| eprintln!("warning: {warning}"));
        tested.iter().for_each(Tested::print);
    }
    Ok(matches)
}

fn filters(args: &Args) -> Result<Vec<Filters>, BoxError> {
    let Some(path) = &args.template else {
        return Ok(vec![Filters::parse(None, &args.patterns)?]);
    };
    let template = Template::read_with(path, &args.parameters.iter().cloned().collect())?;
    let mappings = template.mappings();
    let wanted = |mapping: &&Mapping| args.mapping.as_ref().is_none_or(|id| **id == *mapping.id);
    let filters: Vec<Filters> = mappings.iter().filter(wanted).map(Filters::of).collect::<Result<_, _>>()?;
    if filters.is_empty() {
        let ids: Vec<&str> = mappings.iter().map(|mapping| &*mapping.id).collect();
        return Err(
            format!("{}: no such mapping of a DynamoDB stream; there are: {}", path.display(), ids.join(", ")).into()
        );
    }
    Ok(filters)
}

impl Filters {
    fn of(mapping: &Mapping) -> Result<Self, BoxError> {
        Self::parse(Some(mapping.id.to_string()), &patterns::of(mapping)?)
    }

    fn parse(mapping: Option<String>, patterns: &[String]) -> Result<Self, BoxError> {
        let criteria = FilterCriteria::parse_with_limit(patterns, FilterCriteria::RAISED_LIMIT)?;
        Ok(Self { mapping, criteria })
    }

    fn warnings(&self) -> Vec<String> {
        let mapping = self.mapping.as_ref().map(|id| format!("{id}: ")).unwrap_or_default();
        let many = self.criteria.patterns().len() > FilterCriteria::LIMIT;
        let quota = format!("{mapping}more than {} patterns need a quota raised by AWS", FilterCriteria::LIMIT);
        let traps = self.criteria.warnings();
        let traps = traps.iter().map(|(index, warning)| format!("{mapping}pattern {}: {warning}", index + 1));
        traps.chain(many.then_some(quota)).collect()
    }

    fn test(&self, path: &Path, records: &[String], explain: bool) -> Result<Vec<Tested>, BoxError> {
        let test = |(record, json): (usize, &String)| {
            let broken = |error| format!("{}: record {record}: {error}", path.display());
            let matches = self.criteria.matches_json(json.as_bytes()).map_err(broken)?;
            let why = |()| self.criteria.explain(json.as_bytes()).map_err(broken);
            let explanations = explain.then_some(()).map(why).transpose()?;
            Ok(Tested {
                mapping: self.mapping.clone(),
                event: path.display().to_string(),
                record,
                matches,
                explanations,
            })
        };
        records.iter().enumerate().map(test).collect()
    }
}

impl Tested {
    fn print(&self) {
        let mapping = self.mapping.as_ref().map(|id| format!("{id}: ")).unwrap_or_default();
        let mark = if self.matches { "match" } else { "no match" };
        println!("{mapping}{} record {}: {mark}", self.event, self.record);
        for (index, explanation) in self.explanations.iter().flatten().enumerate() {
            print!("pattern {}: {explanation}", index + 1);
        }
    }
}
