//! The command line of Anabranch: everything that must run on a laptop without an AWS account.

mod backfill;
mod check;
mod connection;
mod demo;
mod dev;
mod emulator;
mod export;
mod filter;
mod interrupt;
mod kept;
mod location;
mod mapping;
mod meter;
mod patterns;
mod reading;
mod redrive;
mod scan;
mod verify;

use std::process::ExitCode;

use clap::Parser;

/// Any error of a command.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Typed, ordered, exact handlers for DynamoDB Streams: what runs on a laptop, without an AWS account
#[derive(Parser)]
#[command(name = "anabranch", version)]
enum Command {
    Backfill(Box<backfill::Args>),
    Check(check::Args),
    Demo(demo::Args),
    Dev(Box<dev::Args>),
    Emulator(emulator::Args),
    Export(Box<export::Args>),
    Filter(filter::Args),
    Mapping(mapping::Args),
    Redrive(redrive::Args),
    Scan(Box<scan::Args>),
    Verify(Box<verify::Args>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Check(args) => return check::run(&args),
        Command::Filter(args) => return filter::run(&args),
        Command::Verify(args) => return verify::run(*args).await,
        Command::Backfill(args) => backfill::run(*args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Dev(args) => dev::run(*args).await,
        Command::Emulator(args) => emulator::run(args).await.map(|()| true),
        Command::Export(args) => export::run(*args).await,
        Command::Scan(args) => scan::run(*args).await,
        Command::Mapping(args) => mapping::run(&args).map(|()| true),
        Command::Redrive(args) => redrive::run(args).await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            explain(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// The error and what is behind it, a line each.
fn explain(error: &(dyn std::error::Error + 'static)) {
    eprintln!("error: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        eprintln!("  because: {error}");
        source = error.source();
    }
}
