//! The folder tree is the architecture, and this test keeps it so: a room uses only the floors below its own, and files and functions
//! stay of a size that one person reads at a sitting.

mod floors;
mod measure;
mod tree;

use measure::Spread;
use tree::Tree;

fn assert_none(what: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{what}:\n  {}", violations.join("\n  "));
}

#[test]
fn a_room_uses_only_the_floors_below_its_own() {
    assert_none("against the floors", &floors::violations(&Tree::of_the_house()));
}

#[test]
fn a_room_has_one_name() {
    assert_none("rooms under a second public name", &floors::aliases(&Tree::of_the_house()));
}

#[test]
fn a_file_is_one_room() {
    assert_none("over 600 lines without tests", &measure::long_files(&Tree::of_the_house(), 600));
}

#[test]
fn a_function_fits_one_screen() {
    let functions = measure::functions(&Tree::of_the_house());
    let long: Vec<String> = functions.iter().filter(|one| one.lines > 80).map(ToString::to_string).collect();
    assert_none("over 80 lines", &long);
}

#[test]
fn most_functions_are_small() {
    let mut functions = measure::functions(&Tree::of_the_house());
    let spread = Spread::of(&mut functions);
    let longest: Vec<String> = functions.iter().rev().take(20).map(ToString::to_string).collect();
    assert!(spread.median <= 8 && spread.p95 <= 35, "{spread:?}, the longest:\n  {}", longest.join("\n  "));
}

#[test]
fn the_front_door_is_a_front_door() {
    assert_none("150 lines or more", &Tree::of_the_house().longer_than(149, |path| path == "src/lib.rs"));
}

#[test]
fn a_ready_made_function_is_wiring_only() {
    assert_none(
        "40 lines or more",
        &Tree::of_the_house().longer_than(39, |path| path.starts_with("handlers/src/bin/")),
    );
}
