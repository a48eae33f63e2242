//! Counting instructions, with valgrind.

#![allow(dead_code, reason = "each benchmark uses its own part of the support code")]

use std::process::Command;

/// The flag that asks this program for one row.
pub(crate) const ROW: &str = "--row";

/// A row, counted.
pub(crate) struct Row {
    pub(crate) batch: String,
    pub(crate) row: String,
    pub(crate) instructions: u64,
}

/// Counts what happens in the function `measured` of a row.
pub(crate) fn count(batch: &str, row: &str) -> Row {
    count_in(batch, row, &[])
}

/// The same in an environment.
pub(crate) fn count_in(batch: &str, row: &str, environment: &[(&str, &str)]) -> Row {
    let instructions = collect(&["--toggle-collect=*rows::measured*"], &[ROW, batch, row], environment);
    assert!(instructions > 1_000, "nothing was counted for row {row}: was `measured` inlined?");
    Row { batch: batch.to_owned(), row: row.to_owned(), instructions }
}

/// Counts everything that a process does.
pub(crate) fn count_all(arguments: &[&str], environment: &[(&str, &str)]) -> u64 {
    collect(&[], arguments, environment)
}

/// Counts everything that another program does. What it prints is not kept.
pub(crate) fn count_program(program: &str, arguments: &[&str]) -> u64 {
    let mut command = valgrind(&[]);
    command.arg(program).args(arguments);
    collected(command, arguments)
}

fn collect(options: &[&str], arguments: &[&str], environment: &[(&str, &str)]) -> u64 {
    let mut command = valgrind(options);
    command.arg(std::env::current_exe().expect("this program")).args(arguments).envs(environment.iter().copied());
    collected(command, arguments)
}

fn valgrind(options: &[&str]) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).args(options);
    command
}

fn collected(mut command: Command, arguments: &[&str]) -> u64 {
    let output =
        command.output().expect("valgrind is needed to count instructions: install it (`apt-get install valgrind`)");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?} failed:\n{log}");
    let collected = log.lines().find_map(|line| line.split_once("Collected : "));
    let (_, number) = collected.unwrap_or_else(|| panic!("valgrind says nothing of {arguments:?}:\n{log}"));
    number.trim().parse().expect("a number")
}
