//! What a person sees of the demo.

use std::io::{IsTerminal, stdout};

use anabranch::{dispatch::BatchReport, record::EventName, sink::dead_letter::DeadLetter};

use super::{Totals, compare::Comparison};

/// The terminal, with colours where it has them.
#[derive(Clone, Copy)]
pub(super) struct Screen {
    colours: bool,
}

impl Screen {
    /// Colours are for people only.
    pub(super) fn new(machine: bool) -> Self {
        Self { colours: !machine && stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    fn paint(self, colour: u8, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn title(self, text: &str) {
        println!("{}\n", self.paint(1, text));
    }

    pub(super) fn change(self, name: EventName, text: &str) {
        let (colour, word) = match name {
            EventName::Insert => (32, "insert"),
            EventName::Modify => (33, "modify"),
            EventName::Remove => (31, "remove"),
        };
        println!("    {} {text}", self.paint(colour, word));
    }

    pub(super) fn batch(self, report: &BatchReport) {
        let mut line = format!(
            "  batch of {}: {} applied, {} skipped, {} dead letters",
            report.read,
            report.applied,
            report.skipped_total(),
            report.dead_lettered,
        );
        if let Some(unfinished) = &report.unfinished {
            line += &format!(
                ", {} delivered again from {} on ({})",
                report.redelivered, unfinished.sequence_number, unfinished.cause
            );
        }
        println!("{}", self.paint(if report.unfinished.is_some() { 35 } else { 2 }, &line));
    }

    pub(super) fn summary(
        self,
        totals: &Totals,
        letters: &[DeadLetter],
        comparison: &Comparison,
        checks: &[(&'static str, bool)],
    ) {
        println!();
        self.title("Table against replica");
        println!("  {} items, {} differences", comparison.items, comparison.differences.len());
        comparison.differences.iter().for_each(|difference| println!("  {}", self.paint(31, difference)));
        println!(
            "  {} batches: {} applied, {} skipped, {} dead letters, {} delivered again",
            totals.batches, totals.applied, totals.skipped, totals.dead_lettered, totals.redelivered
        );
        letters.iter().for_each(|letter| println!("  dead letter: {}", letter.reason));
        println!();
        for (name, held) in checks {
            let mark = if *held { self.paint(32, "held  ") } else { self.paint(31, "BROKEN") };
            println!("  {mark} {name}");
        }
    }
}
