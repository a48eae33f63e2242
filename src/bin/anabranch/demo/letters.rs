//! Dead letters, shown as they come.

use anabranch::sink::dead_letter::{DeadLetter, DeadLetterError, DeadLetterSink, Memory};
use futures_util::future::BoxFuture;

use super::show::Screen;

/// Keeps dead letters in memory, and shows each.
pub(super) struct Letters {
    kept: Memory,
    screen: Screen,
}

impl Letters {
    pub(super) fn new(screen: Screen) -> Self {
        Self { kept: Memory::default(), screen }
    }

    pub(super) fn letters(&self) -> Vec<DeadLetter> {
        self.kept.letters()
    }
}

impl DeadLetterSink for Letters {
    fn send<'a>(&'a self, letters: &'a [DeadLetter]) -> BoxFuture<'a, Vec<Result<(), DeadLetterError>>> {
        letters.iter().for_each(|letter| self.screen.reject(letter));
        self.kept.send(letters)
    }
}
