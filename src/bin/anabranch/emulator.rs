//! `anabranch emulator`: the embedded DynamoDB, for other programs to use.

use crate::{BoxError, interrupt::interrupted};

use anabranch::testing::{
    embedded::{Embedded, PET_TRACKER, PET_TRACKER_LEDGER, PET_TRACKER_REPLICA, PET_TRACKER_VIEWS},
    opensearch::OpenSearchDouble,
};

/// Serve an embedded DynamoDB with streams on 127.0.0.1 until Ctrl-C.
///
/// It starts with the empty tables PetTracker (with a stream of both images), PetTrackerReplica, PetTrackerViews and
/// PetTrackerLedger. With --search there is a double of a search server beside it. All data is gone when it stops.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The port to serve on; 0 takes any that is free
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Serve a double of a search server as well, on this port; 0 takes any that is free
    #[arg(long, value_name = "PORT")]
    search: Option<u16>,
}

/// Serves until Ctrl-C.
pub(crate) async fn run(args: Args) -> Result<(), BoxError> {
    let embedded = Embedded::start_on(args.port).await?;
    let stream = embedded.create_pet_tracker().await?;
    println!("DynamoDB with streams:");
    println!("  export AWS_ENDPOINT_URL={}", embedded.endpoint());
    println!("  export AWS_REGION=local AWS_ACCESS_KEY_ID=embedded AWS_SECRET_ACCESS_KEY=embedded");
    println!("Tables: {PET_TRACKER}, {PET_TRACKER_REPLICA}, {PET_TRACKER_VIEWS}, {PET_TRACKER_LEDGER}");
    println!(
        "  export TARGET_TABLE={PET_TRACKER_REPLICA} VIEW_TABLE={PET_TRACKER_VIEWS} LEDGER_TABLE={PET_TRACKER_LEDGER}"
    );
    println!("Stream of {PET_TRACKER}: {stream}");
    let search = match args.search {
        Some(port) => Some(OpenSearchDouble::start_on(port).await?),
        None => None,
    };
    if let Some(double) = &search {
        println!("A double of OpenSearch's bulk endpoint:");
        println!("  export SEARCH_ENDPOINT={}", double.url());
    }
    println!("Ctrl-C ends it and deletes all data.");
    interrupted().await?;
    embedded.stop().await?;
    Ok(())
}
