//! `anabranch mapping`: the event source mappings of a template, for those who do not deploy it.

mod call;
mod shell;

use std::{collections::BTreeMap, path::PathBuf};

use anabranch::template::{Mapping, Template};

use crate::BoxError;

/// Event source mappings of a template.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Print(Print),
}

/// Print the AWS CLI call that creates each mapping, as the template has it.
///
/// What only a deployment knows stands in variables of the shell, named after what the template calls it:
/// $PET_TRACKER_STREAM_ARN for !GetAtt PetTracker.StreamArn; where that has no name, after the mapping and its property:
/// $NOTIFY_PETS_FILTER_CRITERIA. A switch that only a deployment knows is an error. Mappings whose condition does not hold are
/// left out.
#[derive(clap::Args)]
struct Print {
    /// The template, YAML or JSON
    #[arg(long, default_value = "template.yaml")]
    template: PathBuf,
    /// A parameter's value, in place of its default
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = crate::check::parameter)]
    parameters: Vec<(String, String)>,
    /// The functions, by binary, logical id or name; all, if none is named
    #[arg(value_name = "FUNCTION")]
    functions: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), BoxError> {
    let Command::Print(args) = &args.command;
    let parameters: BTreeMap<String, String> = args.parameters.iter().cloned().collect();
    let template = Template::read_with(&args.template, &parameters)?;
    let mut mappings = template.mappings();
    mappings.retain(|mapping| mapping.active != Some(false));
    let is_of = |mapping: &Mapping, name: &String| call::names(mapping, &template).contains(name);
    if let Some(name) = args.functions.iter().find(|name| !mappings.iter().any(|mapping| is_of(mapping, name))) {
        return Err(format!("no function {name} with a DynamoDB stream in {}", template.file()).into());
    }
    mappings.retain(|mapping| args.functions.is_empty() || args.functions.iter().any(|name| is_of(mapping, name)));
    if mappings.is_empty() {
        return Err(format!("{} maps no DynamoDB stream to a function", template.file()).into());
    }
    let calls: Vec<String> = mappings.iter().map(|mapping| call::call(mapping, &template)).collect::<Result<_, _>>()?;
    for mapping in &mappings {
        call::left_out(mapping).iter().for_each(|name| eprintln!("note: {}: {name} is not printed", mapping.id));
    }
    println!("{}", calls.join("\n\n"));
    Ok(())
}
