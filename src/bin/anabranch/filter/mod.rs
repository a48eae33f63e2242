//! `anabranch filter`: the filter patterns of event source mappings, tested and printed.

mod events;
mod print;
mod test;

use std::process::ExitCode;

use crate::explain;

/// Test filter patterns on records, and print those that are mostly used.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Test(test::Args),
    Print(print::Args),
}

/// Runs it; 2 is the exit code of an error.
pub(crate) fn run(args: &Args) -> ExitCode {
    let done = match &args.command {
        Command::Test(args) => test::run(args),
        Command::Print(args) => print::run(args).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            explain(error.as_ref());
            ExitCode::from(2)
        }
    }
}
