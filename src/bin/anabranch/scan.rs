//! `anabranch scan`: the items of a table, an index or a query, as JSON lines.

use std::{
    fs,
    io::{self, BufWriter, ErrorKind, IsTerminal, Write, stderr, stdout},
    path::{Path, PathBuf},
};

use anabranch::{
    scan::{Cursor, Page, Pages},
    sink::file::{Format, Lines},
};
use futures_util::{FutureExt, StreamExt};
use serde_json::json;

use crate::{
    BoxError,
    interrupt::Interrupt,
    kept,
    meter::Meter,
    reading::{self, Reading},
};

/// Print the items of a table, an index or a query, as JSON, a line each
///
/// Reads page by page, as fast as the output is taken and no faster than --rate. With one worker, items come in the
/// table's order; with --workers 8 they come in none, and sooner. What DynamoDB's types are is lost in plain JSON: --dynamodb-json keeps it.
///
/// Ctrl-C, or a failure, keeps where every segment stands in a file; --resume FILE goes on from there, with the same
/// expressions, and repeats nothing that was printed. The file holds keys of the table.
///
/// With --json the last line on standard error says in JSON what was read.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    reading: Reading,
    /// Print items as DynamoDB's exports have them: {"Item": {"name": {"S": "Mia"}}}
    #[arg(long)]
    dynamodb_json: bool,
    /// Print nothing but how many items there are; it costs as much as reading them
    #[arg(long, conflicts_with_all = ["take", "project", "dynamodb_json", "checkpoint", "resume", "start_cursor"])]
    count: bool,
    /// Where to keep what is left, also when --take has ended it [default: .anabranch/scan-TABLE.json]
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Go on where the file says; it is deleted when nothing is left
    #[arg(long, value_name = "FILE", conflicts_with = "start_cursor")]
    resume: Option<PathBuf>,
    /// Go on at these cursors: JSON as such a file has it
    #[arg(long, value_name = "JSON", value_parser = cursors)]
    start_cursor: Option<Cursors>,
    /// Print what a scan takes, with its time and its cost, and read nothing
    #[arg(long)]
    dry_run: bool,
    /// Say what was read as JSON, in the last line on standard error
    #[arg(long)]
    json: bool,
}

type Cursors = Vec<Cursor>;

fn cursors(text: &str) -> Result<Cursors, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| serde_json::from_str(text).map(|one| vec![one]).map_err(|_| error))
}

/// How it came to an end.
enum Ended {
    Whole,
    /// By Ctrl-C.
    Stopped,
    /// Nobody takes the output any more, as behind `| head`.
    Unread,
    Failed(BoxError),
}

/// Runs to the end, or to Ctrl-C; true if all that was asked for was printed.
///
/// # Errors
/// A segment failed; the file says where all of them stand.
pub(crate) async fn run(args: Args) -> Result<bool, BoxError> {
    let client = args.reading.client().await;
    let known = args.reading.look_up(&client, 1).await?;
    if args.dry_run {
        return known.print(args.json, true).map(|()| true);
    }
    let source = args.reading.pages(&client, &known, 1, args.cursors()?);
    let mut pages = if args.count { source.count_only().pages() } else { source.pages() };
    // A line that is written over does not go with lines that are not.
    let silent = args.json || !stderr().is_terminal() || (stdout().is_terminal() && !args.count);
    let mut meter = Meter::new(known.items(), silent);
    let mut printer = Printer::new(args.dynamodb_json);
    let ended = drive(&mut pages, &mut printer, &mut meter).await;
    meter.end();
    args.finish(&pages, ended)
}

async fn drive(pages: &mut Pages, printer: &mut Printer, meter: &mut Meter) -> Ended {
    let mut interrupt = Interrupt::listen();
    loop {
        let page = tokio::select! {
            biased;
            () = interrupt.pressed() => {
                // What was printed is done with once the next page was asked for; if it comes, it is still to be read.
                drop(pages.next().now_or_never());
                return Ended::Stopped;
            }
            page = pages.next() => page,
        };
        let printed = match page {
            Some(Ok(page)) => printer.print(&page),
            Some(Err(error)) => return Ended::Failed(error.into()),
            None => return Ended::Whole,
        };
        match printed {
            Ok(()) => meter.show(pages.progress().scanned, || reading::details(&pages.progress())),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ended::Unread,
            Err(error) => return Ended::Failed(error.into()),
        }
    }
}

/// Items as lines on standard output.
struct Printer(Lines);

impl Printer {
    fn new(dynamodb_json: bool) -> Self {
        Self(Lines::new(if dynamodb_json { &Format::DynamoDbJson } else { &Format::JsonLines }))
    }

    /// A page as a whole, so that what is printed and what is done with are the same.
    fn print(&mut self, page: &Page) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(1 << 16, stdout().lock());
        for item in page.items() {
            let line = self.0.line(item.json());
            out.write_all(line.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "an item is no DynamoDB JSON"))?)?;
        }
        out.flush()
    }
}

impl Args {
    fn cursors(&self) -> Result<Option<Cursors>, BoxError> {
        match &self.resume {
            Some(file) => {
                let no_use = |error: &dyn std::fmt::Display| {
                    format!("{} does not say where a scan stands: {error}", file.display())
                };
                let text = fs::read_to_string(file).map_err(|error| no_use(&error))?;
                Ok(Some(cursors(&text).map_err(|error| no_use(&error))?))
            }
            None => Ok(self.start_cursor.clone()),
        }
    }

    fn finish(&self, pages: &Pages, ended: Ended) -> Result<bool, BoxError> {
        let kept = self.keep(pages, &ended)?;
        let progress = pages.progress();
        if self.count && matches!(ended, Ended::Whole) {
            println!("{}", progress.items);
        }
        if self.json {
            let ok = matches!(ended, Ended::Whole);
            eprintln!("{}", json!({ "counts": reading::counts(&progress), "checkpoint": kept, "ok": ok }));
        } else if let Some(file) = kept {
            let left = pages.checkpoint().cursors().len();
            eprintln!("{left} of {} segments are left; go on with --resume {}", progress.segments, file.display());
        }
        match ended {
            Ended::Whole | Ended::Unread => Ok(true),
            Ended::Stopped => Ok(false),
            Ended::Failed(error) => Err(error),
        }
    }

    /// Keeps what is left in a file, if somebody may want to go on with it.
    fn keep(&self, pages: &Pages, ended: &Ended) -> Result<Option<PathBuf>, BoxError> {
        let left = pages.checkpoint();
        if left.is_done() {
            return self.resume.as_ref().map_or(Ok(()), fs::remove_file).map(|()| None).map_err(Into::into);
        }
        let begun = pages.progress().pages > 0 && !self.count;
        let named = self.checkpoint.as_ref().or(self.resume.as_ref());
        let file = match (named, ended) {
            (Some(file), _) if begun => file.clone(),
            (None, Ended::Stopped | Ended::Failed(_)) if begun => {
                Path::new(".anabranch").join(format!("scan-{}.json", self.reading.table))
            }
            _ => return Ok(None),
        };
        let text = serde_json::to_vec(&left.cursors().collect::<Vec<_>>())?;
        let failed = |error| format!("{} cannot be used to keep what is left: {error}", file.display());
        kept::replace(&file, &text).map_err(failed)?;
        Ok(Some(file))
    }
}
