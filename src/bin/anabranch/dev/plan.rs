//! What is to run: tables and mappings.

use std::{collections::BTreeMap, path::Path};

use anabranch::{
    source::mapping::{Admission, Request, Settings, TrimPolicy},
    template::{Function, Mapping, Setting, Source, Table, Template},
    testing::embedded::{PET_TRACKER, PET_TRACKER_REPLICA},
};
use serde_json::json;

use crate::{BoxError, patterns};

/// Where a mapping starts, and what a stream has, where the template does not tell.
const TRIM_HORIZON: &str = "TRIM_HORIZON";
const WHOLE: &str = "NEW_AND_OLD_IMAGES";

/// Tables, and what is mapped to what.
pub(super) struct Plan {
    pub(super) tables: Vec<PlannedTable>,
    pub(super) mappings: Vec<Planned>,
    /// What a person should know of it.
    pub(super) notes: Vec<String>,
}

pub(super) struct PlannedTable {
    pub(super) name: String,
    /// Names and types.
    pub(super) keys: Vec<(String, String)>,
    pub(super) stream: Option<String>,
    pub(super) time_to_live: Option<String>,
}

/// A mapping to run.
#[derive(Clone)]
pub(super) struct Planned {
    pub(super) id: String,
    /// The table's name.
    pub(super) table: String,
    /// The function's names: as the template, AWS and Cargo call it.
    pub(super) names: Vec<String>,
    /// Its environment, as far as the template tells.
    pub(super) environment: BTreeMap<String, String>,
    pub(super) settings: Settings,
}

impl Plan {
    /// The PetTracker tables, and one copied into the other.
    pub(super) fn of_pet_tracker() -> Result<Self, BoxError> {
        let keys: Vec<_> = ["PK", "SK"].map(|name| (name.to_owned(), "S".to_owned())).into();
        let table = |name: &str, stream: Option<&str>| PlannedTable {
            name: name.to_owned(),
            keys: keys.clone(),
            stream: stream.map(str::to_owned),
            time_to_live: None,
        };
        let request = json!({
            "StartingPosition": "TRIM_HORIZON",
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "BisectBatchOnFunctionError": true,
        });
        let planned = Planned {
            id: "replicate".to_owned(),
            table: PET_TRACKER.to_owned(),
            names: vec!["replicate".to_owned()],
            environment: BTreeMap::from([("TARGET_TABLE".to_owned(), PET_TRACKER_REPLICA.to_owned())]),
            settings: admitted(PET_TRACKER, "replicate", request)?,
        };
        Ok(Self {
            tables: vec![table(PET_TRACKER, Some("NEW_AND_OLD_IMAGES")), table(PET_TRACKER_REPLICA, None)],
            mappings: vec![planned],
            notes: vec!["no --template: PetTracker is copied to its replica".to_owned()],
        })
    }

    pub(super) fn of_template(path: &Path, parameters: &BTreeMap<String, String>) -> Result<Self, BoxError> {
        let template = Template::read_with(path, parameters)?;
        let mut plan = Self { tables: Vec::new(), mappings: Vec::new(), notes: Vec::new() };
        for table in template.tables() {
            plan.add_table(&template, &table);
        }
        for mapping in template.mappings() {
            plan.add(&template, &mapping)?;
        }
        if plan.mappings.is_empty() {
            return Err(format!("{} maps no DynamoDB stream to a function", path.display()).into());
        }
        Ok(plan)
    }

    fn add(&mut self, template: &Template, mapping: &Mapping) -> Result<(), BoxError> {
        if mapping.active == Some(false) {
            self.notes.push(format!("{} is left out: its condition does not hold", mapping.id));
            return Ok(());
        }
        if mapping.enabled.known() == Some(&false) {
            self.notes.push(format!("{} is not enabled", mapping.id));
            return Ok(());
        }
        let function = mapping.function.as_deref().and_then(|id| template.function(id));
        let (Some(table), Some(function)) = (table_name(template, mapping), function) else {
            self.notes.push(format!("{} is left out: its table or its function is not in the template", mapping.id));
            return Ok(());
        };
        self.settle(mapping)?;
        let names = names(&function);
        let settings = admitted(&table, &names[0], request(mapping, &patterns::of(mapping)?))
            .map_err(|error| format!("{}: AWS would refuse it: {error}", mapping.id))?;
        let environment = environment(template, &function);
        self.mappings.push(Planned { id: mapping.id.to_string(), table, names, environment, settings });
        Ok(())
    }

    fn add_table(&mut self, template: &Template, table: &Table) {
        if template.resource(&table.id).and_then(|resource| resource.active) == Some(false) {
            self.notes.push(format!("table {} is left out: its condition does not hold", table.id));
            return;
        }
        if matches!(table.stream_view, Setting::Unknown(_)) {
            self.notes.push(format!("table {}: its stream is not known, and has {WHOLE} here", table.id));
        }
        self.tables.push(PlannedTable::of(table));
    }

    /// Notes which settings the template leaves to the deployment.
    fn settle(&mut self, mapping: &Mapping) -> Result<(), BoxError> {
        let types = mapping.response_types.iter().map(|one| readable("FunctionResponseTypes", one));
        let settings = [
            readable("StartingPosition", &mapping.starting_position),
            readable("BatchSize", &mapping.batch_size),
            readable("MaximumBatchingWindowInSeconds", &mapping.window),
            readable("ParallelizationFactor", &mapping.parallelization),
            readable("MaximumRetryAttempts", &mapping.retries),
            readable("MaximumRecordAgeInSeconds", &mapping.record_age),
            readable("TumblingWindowInSeconds", &mapping.tumbling_window),
            readable("BisectBatchOnFunctionError", &mapping.bisect),
            readable("Enabled", &mapping.enabled),
        ];
        for setting in settings.into_iter().chain(types) {
            let Some(unknown) = setting.map_err(|fault| format!("{}: {fault}", mapping.id))? else { continue };
            let used = if unknown == "StartingPosition" { TRIM_HORIZON } else { "AWS's default" };
            self.notes.push(format!("{}: {unknown} is not known from the template: {used} is used here", mapping.id));
        }
        Ok(())
    }
}

/// The name of a setting, if what it is only the deployment knows.
fn readable<'a, T>(name: &'a str, setting: &Setting<T>) -> Result<Option<&'a str>, String> {
    match setting {
        Setting::Absent | Setting::Known(..) => Ok(None),
        Setting::Unknown(_) => Ok(Some(name)),
        Setting::Unreadable(place) => Err(format!("{name} at {place} is of another type than AWS takes")),
    }
}

impl PlannedTable {
    fn of(table: &Table) -> Self {
        let key =
            |key: &anabranch::template::Key| (key.name.clone(), key.kind.clone().unwrap_or_else(|| "S".to_owned()));
        Self {
            name: name_of(table),
            keys: table.keys.iter().map(key).collect(),
            stream: match &table.stream_view {
                Setting::Unknown(_) => Some(WHOLE.to_owned()),
                view => view.known().cloned(),
            },
            time_to_live: table.time_to_live.known().cloned(),
        }
    }
}

fn name_of(table: &Table) -> String {
    table.name.known().cloned().unwrap_or_else(|| table.id.to_string())
}

/// The name of the table whose stream is mapped: of the template, or in the ARN.
fn table_name(template: &Template, mapping: &Mapping) -> Option<String> {
    if let Some(table) = template.table_of(mapping) {
        return Some(name_of(&table));
    }
    let Source::Arn(arn) = &mapping.stream else { return None };
    let (_, rest) = arn.split_once(":table/")?;
    rest.split_once("/stream/").map(|(name, _)| name.to_owned())
}

fn names(function: &Function) -> Vec<String> {
    let known = [function.binary.known(), function.name.known()].into_iter().flatten().cloned();
    known.chain([function.id.to_string()]).collect()
}

/// Variables with a value, or with the name of a table.
fn environment(template: &Template, function: &Function) -> BTreeMap<String, String> {
    let value = |variable: &anabranch::template::Variable| {
        let named = || {
            let reference = variable.value.reference().filter(|reference| reference.attribute.is_none())?;
            template.tables().iter().find(|table| table.id == reference.resource).map(name_of)
        };
        let value = variable.value.as_str().map(str::to_owned).or_else(named)?;
        Some((variable.name.to_string(), value))
    };
    function.environment.iter().filter_map(value).collect()
}

/// What the template asks for, in the words of the API. What it leaves open has AWS's default.
fn request(mapping: &Mapping, patterns: &[String]) -> serde_json::Value {
    let number = |setting: &Setting<i64>| setting.known().copied();
    let filters: Vec<_> = patterns.iter().map(|pattern| json!({ "Pattern": pattern })).collect();
    let position = match &mapping.starting_position {
        Setting::Unknown(_) => Some(TRIM_HORIZON),
        position => position.known().map(String::as_str),
    };
    let types: Vec<_> = mapping.response_types.iter().filter_map(Setting::known).collect();
    json!({
        "StartingPosition": position,
        "BatchSize": number(&mapping.batch_size),
        "MaximumBatchingWindowInSeconds": number(&mapping.window),
        "ParallelizationFactor": number(&mapping.parallelization),
        "MaximumRetryAttempts": number(&mapping.retries),
        "MaximumRecordAgeInSeconds": number(&mapping.record_age),
        "TumblingWindowInSeconds": number(&mapping.tumbling_window),
        "BisectBatchOnFunctionError": mapping.bisect.known(),
        "FunctionResponseTypes": types,
        "FilterCriteria": { "Filters": filters },
        "DestinationConfig": { "OnFailure": { "Destination": mapping.on_failure.as_ref().map(|_| "a folder") } },
    })
}

/// The settings of a mapping, if AWS would admit it.
fn admitted(table: &str, function: &str, request: serde_json::Value) -> Result<Settings, BoxError> {
    let stream = format!("arn:aws:dynamodb:local:000000000000:table/{table}/stream/local");
    let arn = format!("arn:aws:lambda:local:000000000000:function:{function}");
    let mut request: Request = serde_json::from_value(request)?;
    request.event_source_arn = Some(stream.clone());
    request.function_name = function.to_owned();
    let mut settings = Admission::default().stream(stream).function(arn).create(&request)?.settings();
    // As AWS does; the gap is reported.
    settings.trimmed = TrimPolicy::Continue;
    Ok(settings)
}
