//! How far it is.

use std::{
    io::{IsTerminal, Write, stderr},
    time::{Duration, Instant},
};

/// Between two looks of a person.
const ON_A_TERMINAL: Duration = Duration::from_millis(200);
/// Between two lines of a log.
const IN_A_LOG: Duration = Duration::from_secs(10);
const WIDTH: u64 = 24;

/// One line that tells how far it is: in place on a terminal, now and then elsewhere, never where a program reads.
pub(crate) struct Meter {
    /// How many items there are, about.
    items: Option<u64>,
    silent: bool,
    terminal: bool,
    begun: Instant,
    /// Items that an earlier run has read.
    before: Option<u64>,
    shown: Option<Instant>,
}

impl Meter {
    pub(crate) fn new(items: Option<u64>, silent: bool) -> Self {
        let terminal = stderr().is_terminal();
        Self { items, silent, terminal, begun: Instant::now(), before: None, shown: None }
    }

    /// Shows that so many items were read, and what else there is to say, unless it has just shown something.
    pub(crate) fn show(&mut self, items: u64, more: impl FnOnce() -> String) {
        let before = *self.before.get_or_insert(items);
        let every = if self.terminal { ON_A_TERMINAL } else { IN_A_LOG };
        if self.silent || self.shown.is_some_and(|shown| shown.elapsed() < every) {
            return;
        }
        self.shown = Some(Instant::now());
        let rate = (items - before) as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
        let line = line(items, self.items, rate, &more());
        let (begin, end) = if self.terminal { ("\r", "\x1b[K") } else { ("", "\n") };
        // What cannot be shown is no reason to stop.
        _ = write!(stderr(), "{begin}{line}{end}").and_then(|()| stderr().flush());
    }

    pub(crate) fn end(&self) {
        if self.terminal && self.shown.is_some() {
            eprintln!();
        }
    }
}

fn line(items: u64, all: Option<u64>, rate: f64, more: &str) -> String {
    match all {
        Some(all) => {
            let (bar, left) = (bar(items, all), left(all.saturating_sub(items), rate));
            format!("{bar} {items} of about {} items, {rate:.0}/s, {more}{left}", all.max(items))
        }
        None => format!("{items} items, {rate:.0}/s, {more}"),
    }
}

fn bar(done: u64, all: u64) -> String {
    let full = (WIDTH * done.min(all)).checked_div(all).unwrap_or(WIDTH);
    format!("[{}{}]", "#".repeat(full as usize), ".".repeat((WIDTH - full) as usize))
}

fn left(rows: u64, rate: f64) -> String {
    if rows == 0 || rate < 1.0 {
        return String::new();
    }
    format!(", {} left", humantime::format_duration(Duration::from_secs((rows as f64 / rate).ceil() as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_never_longer_than_itself() {
        assert_eq!(bar(0, 10), format!("[{}]", ".".repeat(24)));
        assert_eq!(bar(5, 10), format!("[{}{}]", "#".repeat(12), ".".repeat(12)));
        assert_eq!(bar(20, 10), format!("[{}]", "#".repeat(24)));
        assert_eq!(bar(0, 0), format!("[{}]", "#".repeat(24)), "an empty table is done");
    }

    #[test]
    fn how_many_there_are_may_be_unknown() {
        assert_eq!(line(5, None, 2.5, "7 read units"), "5 items, 2/s, 7 read units");
        let bar = format!("[{}{}]", "#".repeat(8), ".".repeat(16));
        assert_eq!(
            line(5, Some(15), 2.0, "0 read units"),
            format!("{bar} 5 of about 15 items, 2/s, 0 read units, 5s left")
        );
    }

    #[test]
    fn what_is_left_is_told_when_it_is_known() {
        assert_eq!(left(0, 10.0), "");
        assert_eq!(left(100, 0.0), "");
        assert_eq!(left(700, 10.0), ", 1m 10s left");
    }
}
