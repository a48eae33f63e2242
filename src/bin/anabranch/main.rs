//! The command line of Anabranch: everything that must run on a laptop without an AWS account.

mod emulator;

use std::error::Error;

use clap::Parser;

/// Streams of DynamoDB, on this machine.
#[derive(Parser)]
#[command(version)]
enum Command {
    Emulator(emulator::Args),
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    match Command::parse() {
        Command::Emulator(args) => emulator::run(args).await,
    }
}
