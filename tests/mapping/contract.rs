//! Every statement of the contract has a test that bears its number, or a row in the chapter that says why not.

use std::{collections::BTreeSet, fs, path::Path};

/// `ESM-1` to `ESM-59`, and those that were put between them.
fn statements() -> BTreeSet<String> {
    let between = ["55a", "58a", "58b", "58c"].map(str::to_owned);
    (1..=59).map(|number: u32| number.to_string()).chain(between).collect()
}

/// The numbers in the name of a test: `esm_09_and_58c_the_same_function` has 9 and 58c.
fn numbers(name: &str) -> Vec<String> {
    let (mut found, mut counting) = (Vec::new(), false);
    for word in name.split('_') {
        let number = word.trim_start_matches('0');
        let is_number = number.starts_with(|it: char| it.is_ascii_digit()) && number.len() <= 3;
        match (word, counting) {
            ("esm", _) => counting = true,
            ("and", true) => {}
            (_, true) if is_number => found.push(number.to_owned()),
            _ => counting = false,
        }
    }
    found
}

fn tested(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            tested(&entry, found);
        } else if entry.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(entry).expect("text");
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
            found.extend(names.flat_map(numbers));
        }
    }
}

/// The numbers in the first cells of the chapter's table, ranges (`17 to 24`) included.
fn excused(chapter: &str) -> BTreeSet<String> {
    let rows = chapter.lines().filter_map(|line| line.strip_prefix("| ESM-")?.split(" |").next());
    let mut found = BTreeSet::new();
    for row in rows {
        // What AWS says stands in quotes.
        let unquoted: String = row.split('"').step_by(2).collect();
        for part in unquoted.replace("ESM-", "").split(',').map(str::trim) {
            let number = |text: &str| text.trim().parse::<u32>().ok();
            match part.split_once(" to ").and_then(|(from, to)| Some(number(from)?..=number(to)?)) {
                Some(range) => found.extend(range.map(|number| number.to_string())),
                None => found.extend(part.split(' ').next().map(str::to_owned)),
            }
        }
    }
    found
}

#[test]
fn every_statement_is_tested_or_excused() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeSet::new();
    tested(&top.join("tests"), &mut tests);
    tested(&top.join("src"), &mut tests);
    let excused = excused(include_str!("../../src/docs/local.md"));
    let missing: Vec<_> = statements().into_iter().filter(|it| !tests.contains(it) && !excused.contains(it)).collect();
    assert_eq!(missing, [""; 0], "statements without a test and without a row in src/docs/local.md");
    let unknown: Vec<_> = excused.difference(&statements()).cloned().collect();
    assert_eq!(unknown, [""; 0], "rows of the chapter about no statement");
}

#[test]
fn names_are_read() {
    assert_eq!(numbers("esm_09_and_58c_the_same_function"), ["9", "58c"]);
    assert_eq!(numbers("esm_30_36_37_38_the_table_of_2_decisions"), ["30", "36", "37", "38"]);
    assert_eq!(numbers("esm_18_esm_19_metadata"), ["18", "19"]);
    assert_eq!(excused("| ESM-1 \"returns 202\", ESM-9 HTTP 409 | x |\n| ESM-17 to 19, 26 | y |"), {
        ["1", "9", "17", "18", "19", "26"].map(str::to_owned).into()
    });
}
