//! What a person, or a program, sees of running mappings.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write, stdout},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anabranch::source::mapping::{Event, Machine, Position};
use serde_json::json;

/// A line per mapping that is updated in place on a terminal; else a line per event.
#[derive(Clone)]
pub(super) struct Screen {
    style: Style,
    lines: Arc<Mutex<Lines>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Terminal,
    Plain,
    Json,
}

#[derive(Default)]
struct Lines {
    status: BTreeMap<String, String>,
    lag: BTreeMap<String, Duration>,
    drawn: usize,
}

impl Screen {
    pub(super) fn new(json: bool) -> Self {
        let style = match (json, stdout().is_terminal()) {
            (true, _) => Style::Json,
            (false, true) => Style::Terminal,
            (false, false) => Style::Plain,
        };
        Self { style, lines: Arc::default() }
    }

    /// Something to know, above the status lines.
    pub(super) fn note(&self, text: &str) {
        match self.style {
            Style::Json => println!("{}", json!({ "event": "note", "text": text })),
            Style::Terminal | Style::Plain => println!("{text}"),
        }
    }

    /// What happened to a mapping.
    pub(super) fn show(&self, id: &str, machine: &Machine, events: &[Event]) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            if let Event::Handled { age, .. } = event {
                lines.lag.insert(id.to_owned(), *age);
            }
            match self.style {
                Style::Json => println!("{}", line(id, machine, event)),
                Style::Plain => println!("{id}: {}{event}", shard(event)),
                Style::Terminal if is_remarkable(event) => lines.above(&format!("{id}: {}{event}", shard(event))),
                Style::Terminal => {}
            }
        }
        if self.style == Style::Terminal {
            let lag = lines.lag.get(id).copied().unwrap_or_default();
            lines.status.insert(id.to_owned(), status(id, machine, lag));
            lines.draw();
        }
    }

    /// Nothing more to come.
    pub(super) fn end(&self) {
        self.note("stopped; positions are saved");
    }
}

impl Lines {
    /// Prints a line that stays, above the status.
    fn above(&mut self, text: &str) {
        self.wipe();
        println!("{text}");
    }

    fn draw(&mut self) {
        self.wipe();
        for line in self.status.values() {
            println!("{line}");
        }
        self.drawn = self.status.len();
        // A terminal that is gone is no reason to stop.
        let _ = stdout().flush();
    }

    fn wipe(&mut self) {
        for _ in 0..self.drawn {
            print!("\x1b[1A\x1b[2K");
        }
        self.drawn = 0;
    }
}

/// Position, lag, in flight, retries, discarded.
fn status(id: &str, machine: &Machine, lag: Duration) -> String {
    let metrics = machine.metrics();
    let position = match machine.positions().next() {
        Some((_, Position::After(sequence))) => {
            let digits = sequence.as_str();
            format!("..{}", &digits[digits.len().saturating_sub(8)..])
        }
        Some(_) => "start".to_owned(),
        None => "none".to_owned(),
    };
    format!(
        "{id}: {} shards, at {position}, lag {lag:.0?}, {} in flight, {} handled, {} filtered, {} retries, {} discarded",
        machine.positions().count(),
        machine.in_flight(),
        metrics.invoked - metrics.failed_invoke,
        metrics.filtered_out,
        metrics.retries,
        metrics.discarded,
    )
}

fn shard(event: &Event) -> String {
    event.shard().map(|shard| format!("{shard}: ")).unwrap_or_default()
}

fn line(id: &str, machine: &Machine, event: &Event) -> serde_json::Value {
    let metrics = machine.metrics();
    json!({
        "mapping": id,
        "event": event.as_str(),
        "shard": event.shard().map(|shard| &**shard),
        "text": event.to_string(),
        "last_processing_result": machine.last_processing_result().as_str(),
        "polled": metrics.polled,
        "filtered_out": metrics.filtered_out,
        "invoked": metrics.invoked,
        "invocations": metrics.invocations,
        "retries": metrics.retries,
        "discarded": metrics.discarded,
    })
}

/// Worth a line that stays.
fn is_remarkable(event: &Event) -> bool {
    !matches!(
        event,
        Event::Invoked { .. } | Event::Handled { .. } | Event::ShardFound { .. } | Event::ShardStarted { .. }
    )
}
