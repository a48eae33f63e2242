//! What a person sees of the demo.

use std::{
    fmt,
    io::{IsTerminal, Write, stdout},
};

use anabranch::{
    dispatch::BatchReport,
    record::EventName,
    sink::{
        dead_letter::DeadLetter,
        publisher::{Attribute, Message},
    },
    source::backfill::Counts,
    testing::embedded::PET_TRACKER,
};

use super::{
    figures::{Effort, Figures},
    past::Past,
    targets::Targets,
    totals::{Outcome, Totals},
};

const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const PURPLE: u8 = 35;
const BLUE: u8 = 36;
const BOLD: u8 = 1;
const DIM: u8 = 2;

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

    /// A reader that has left, as `head` does, is no failure of ours.
    pub(super) fn line(self, text: impl fmt::Display) {
        _ = writeln!(stdout(), "{text}");
    }

    fn title(self, text: &str) {
        self.line(format_args!("\n{}", self.paint(BOLD, text)));
    }

    /// A line about one record or message.
    fn event(self, colour: u8, word: &str, text: &str) {
        self.line(format_args!("    {} {text}", self.paint(colour, &format!("{word:<6}"))));
    }

    pub(super) fn opening(self, endpoint: &str, targets: &Targets) {
        self.line(format_args!(
            "{}",
            self.paint(BOLD, &format!("{PET_TRACKER}, its stream and its replica, views and ledger: {endpoint}"))
        ));
        self.line(format_args!("  notifications  {}", targets.topic.place()));
        self.line(format_args!("  search         {}\n", targets.indexes.place()));
    }

    pub(super) fn change(self, name: EventName, text: &str, again: bool) {
        let (colour, word) = match name {
            EventName::Insert => (GREEN, "insert"),
            EventName::Modify => (YELLOW, "modify"),
            EventName::Remove => (RED, "remove"),
        };
        self.event(colour, word, &format!("{text}{}", if again { ", again" } else { "" }));
    }

    pub(super) fn notification(self, message: &Message) {
        let user = match message.attributes().get("userId") {
            Some(Attribute::String(user)) => user,
            _ => "everybody",
        };
        self.event(BLUE, "notify", &format!("{user}: {}", message.body()));
    }

    /// A record that no retry can mend, by its number and never by its contents.
    pub(super) fn reject(self, letter: &DeadLetter) {
        let number = short(letter.sequence_number.as_deref().unwrap_or("?"));
        self.event(RED, "reject", &format!("record {number} becomes a dead letter: {}", letter.reason));
    }

    pub(super) fn batch(self, report: &BatchReport) {
        if let Some(unfinished) = &report.unfinished {
            let (number, class) = (short(&unfinished.sequence_number), unfinished.cause.as_str());
            self.event(PURPLE, class, &format!("record {number}: {}", unfinished.cause));
        }
        let mut line = format!("  batch of {}: {}", report.read, results(report));
        if let Some(unfinished) = &report.unfinished {
            let again = counted(report.redelivered, "comes", "come");
            line += &format!("; {again} again, from record {} on", short(&unfinished.sequence_number));
        }
        self.line(format_args!("{}", self.paint(if report.unfinished.is_some() { PURPLE } else { DIM }, &line)));
    }

    /// What a second worker made of a batch that the first was done with.
    pub(super) fn repetition(self, report: &BatchReport) {
        let line = format!("  the same batch again, by another worker: {}", results(report));
        self.line(format_args!("{}", self.paint(PURPLE, &line)));
    }

    /// What the first act came to.
    pub(super) fn figures_of(self, outcome: &Outcome) {
        self.figures(&outcome.figures);
        let documents: Vec<_> =
            outcome.search.documents.iter().map(|(index, count)| format!("{index} {count}")).collect();
        self.title("Documents by index");
        self.line(format_args!("  {}", documents.join(", ")));
        self.differences(&outcome.search.differences);
        self.title("Table against replica");
        self.line(format_args!(
            "  {}, {}",
            counted(outcome.items, "item", "items"),
            counted(outcome.differences.len(), "difference", "differences")
        ));
        self.differences(&outcome.differences);
        self.totals(&outcome.totals, outcome.notifications.len());
    }

    pub(super) fn last_act(self, items: usize) {
        self.title("A table with a past");
        self.line(format_args!("  {items} items were there before its stream was switched on"));
    }

    /// The backfill is at its end.
    pub(super) fn brought(self, counts: &Counts) {
        self.event(PURPLE, "past", &counts.to_string());
    }

    /// What there was to do beside the backfill, and whether the targets agree with the table.
    pub(super) fn past(self, past: &Past) {
        let Past { users, live, beside, .. } = past;
        let (put, removed) = (counted(users.put, "put", "puts"), counted(users.removed, "removal", "removals"));
        let changes = counted(*live, "change", "changes");
        let text = format!("{put} and {removed}: {changes} handled, {beside} of them while the backfill ran");
        self.event(YELLOW, "users", &text);
        past.proofs.iter().for_each(|(target, report)| self.event(BLUE, "proof", &format!("{target}: {report}")));
    }

    /// What had to hold.
    pub(super) fn checks(self, outcome: &Outcome) {
        self.line("");
        for (name, held) in &outcome.checks {
            let mark = if *held { self.paint(GREEN, "held  ") } else { self.paint(RED, "BROKEN") };
            self.line(format_args!("  {mark} {name}"));
        }
    }

    fn figures(self, figures: &Figures) {
        self.title("Leaderboard");
        let mut board: Vec<_> = figures.leaderboard.iter().collect();
        board.sort_by_key(|(_, effort)| std::cmp::Reverse(effort.minutes));
        board.into_iter().for_each(|(pet, effort)| self.line(format_args!("  {pet:<10} {}", done(effort))));
        self.title("Daily summaries");
        for ((pet, day), (effort, last)) in &figures.days {
            self.line(format_args!("  {pet:<10} {day}: {}, {last} last", done(effort)));
        }
        self.title("Pets by species");
        let species: Vec<_> = figures.species.iter().map(|(species, pets)| format!("{species} {pets}")).collect();
        self.line(format_args!("  {}", species.join(", ")));
    }

    fn totals(self, totals: &Totals, notifications: usize) {
        self.title("All in all");
        self.line(format_args!(
            "  {}: {} applied, {} skipped, {}, {} delivered again, {}",
            counted(totals.batches, "batch", "batches"),
            totals.applied,
            totals.skipped,
            counted(totals.dead_lettered, "dead letter", "dead letters"),
            totals.redelivered,
            counted(notifications, "notification", "notifications"),
        ));
    }

    fn differences(self, differences: &[String]) {
        differences.iter().for_each(|difference| self.line(format_args!("  {}", self.paint(RED, difference))));
    }
}

/// What became of a batch's records, but for those that come again.
fn results(report: &BatchReport) -> String {
    let applied =
        (report.applied > 0 || report.read == report.redelivered).then(|| format!("{} applied", report.applied));
    let skipped = report.skipped.iter().map(|(reason, count)| format!("{count} {}", reason.as_str()));
    let letters = (report.dead_lettered > 0).then(|| counted(report.dead_lettered, "dead letter", "dead letters"));
    applied.into_iter().chain(skipped).chain(letters).collect::<Vec<_>>().join(", ")
}

fn done(effort: &Effort) -> String {
    let minutes = counted(effort.minutes, "minute", "minutes");
    format!("{minutes} in {}", counted(effort.activities, "activity", "activities"))
}

fn counted(count: impl ToString, one: &str, many: &str) -> String {
    let count = count.to_string();
    let noun = if count == "1" { one } else { many };
    format!("{count} {noun}")
}

/// The end of a sequence number, which is what tells those of one shard apart.
fn short(number: &str) -> String {
    match number.char_indices().nth_back(5) {
        Some((at, _)) if at > 0 => format!("…{}", &number[at..]),
        _ => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!(counted(0, "dead letter", "dead letters"), "0 dead letters");
        assert_eq!(counted(1, "dead letter", "dead letters"), "1 dead letter");
        assert_eq!(done(&Effort { activities: 1_u32.into(), minutes: 12_u32.into() }), "12 minutes in 1 activity");
    }

    #[test]
    fn numbers_are_told_apart_by_their_ends() {
        assert_eq!(short("420940000000000051381230903"), "…230903");
        assert_eq!(short("123456"), "123456");
    }
}
