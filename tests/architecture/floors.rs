//! Who may use whom.
//!
//! A room is a folder (or file) of `src/`; it may name itself and the rooms of lower floors, never a neighbour on its own floor, so there
//! are no cycles. It names rooms (`crate::record::Version`), never the front door's re-exports, which are for users.
//!
//! Unit tests keep to the same floors, with one door more: `crate::testing`. The kit exists so that every room's tests read alike, and an
//! edge that only tests have never reaches a user. A test that needs a neighbour is no unit test: it belongs into `tests/`.
//!
//! Paths are read from the tokens rather than from the syntax tree, so that those inside macros and `use` groups, and those that climb
//! with `super`, count as well.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Item, ItemUse, UseTree, Visibility};

use crate::tree::{Place, Tree};

/// From the ground up. The command line stands above all of them; it is a crate of its own and sees what users see.
const FLOORS: [&[&str]; 6] = [
    &["record", "aws", "metric"],
    &["pattern", "handler", "sink", "scan", "template"],
    &["router", "replica", "view", "notify", "search", "idempotency", "check"],
    &["dispatch"],
    &["source"],
    &["testing"],
];

/// Every use of a room that the floors forbid, as `file:line: reason`.
pub(crate) fn violations(tree: &Tree) -> Vec<String> {
    tree.places().iter().filter(|place| has_floors(&place.file.path)).flat_map(violations_at).collect()
}

/// Not the front door, which opens to every room, nor the command line and the ready-made functions, which come through it.
fn has_floors(path: &str) -> bool {
    path.starts_with("src/") && !path.starts_with("src/bin/") && path != "src/lib.rs"
}

fn violations_at(place: &Place<'_>) -> Vec<String> {
    let Some(floor) = floor(&place.module[0]) else {
        return vec![format!("{}: the room {} has no floor", place.file.path, place.module[0])];
    };
    let mut used = Vec::new();
    uses(place.item.to_token_stream(), &place.module, &mut used);
    let forbidden = used.into_iter().filter_map(|used| {
        let reason = why_not(place, floor, &used.room)?;
        Some(format!("{}:{}: {reason}", place.file.path, used.line))
    });
    forbidden.collect()
}

/// Rooms that are shown under a second name, as `file: the name`.
pub(crate) fn aliases(tree: &Tree) -> Vec<String> {
    let shown = tree.places().into_iter().filter(|place| has_floors(&place.file.path)).filter_map(|place| {
        let Item::Use(ItemUse { vis: Visibility::Public(_), tree: UseTree::Path(path), .. }) = place.item else {
            return None;
        };
        let rooms = whole_rooms(&path.tree).into_iter().filter(|_| path.ident == "crate");
        Some(rooms.map(|room| format!("{}: {}::{room}", place.file.path, place.module.join("::"))).collect::<Vec<_>>())
    });
    shown.flatten().collect()
}

fn whole_rooms(tree: &UseTree) -> Vec<String> {
    match tree {
        UseTree::Name(name) => vec![name.ident.to_string()],
        UseTree::Rename(name) => vec![name.rename.to_string()],
        UseTree::Group(group) => group.items.iter().flat_map(whole_rooms).collect(),
        UseTree::Path(_) | UseTree::Glob(_) => Vec::new(),
    }
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn why_not(place: &Place<'_>, from: usize, room: &str) -> Option<String> {
    let here = &place.module[0];
    let kit = place.test && room == "testing";
    match floor(room) {
        _ if room == here || kit => None,
        None => Some(format!("{here} names `crate::{room}`, which is no room")),
        Some(to) if to > from => Some(format!("{here} (floor {from}) uses {room}, which is above it (floor {to})")),
        Some(to) if to == from => Some(format!("{here} uses its neighbour {room} (floor {to})")),
        Some(_) => None,
    }
}

struct Use {
    line: usize,
    /// The first segment below the crate's root.
    room: String,
}

/// Every path in the tokens that starts at `crate`, `self`, `super` or the crate's own name.
fn uses(tokens: TokenStream, module: &[String], found: &mut Vec<Use>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            TokenTree::Group(group) => uses(group.stream(), module, found),
            TokenTree::Ident(ident) if separates(&tokens[at..]) => {
                if let Some(base) = base(ident, module) {
                    at += 2;
                    at += follow(&tokens[at..], base, found);
                }
            }
            _ => {}
        }
    }
}

fn base(ident: &Ident, module: &[String]) -> Option<Vec<String>> {
    match ident.to_string().as_str() {
        "crate" | "anabranch" => Some(Vec::new()),
        "self" => Some(module.to_vec()),
        "super" => Some(module[..module.len().saturating_sub(1)].to_vec()),
        _ => None,
    }
}

/// Follows a path through its segments and groups; returns the number of tokens read.
fn follow(tokens: &[TokenTree], mut path: Vec<String>, found: &mut Vec<Use>) -> usize {
    for (at, token) in tokens.iter().enumerate().step_by(3) {
        let end = match token {
            TokenTree::Ident(ident) if ident == "self" => true,
            TokenTree::Ident(ident) if ident == "super" => path.pop().is_none(),
            TokenTree::Ident(ident) => {
                path.push(ident.to_string());
                false
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                follow_each(group.stream(), &path, found);
                return at + 1;
            }
            // A glob, or the generics of the segment before.
            _ => true,
        };
        if end || !separates(&tokens[at + 1..]) {
            let line = token.span().start().line;
            let room = path.into_iter().next().unwrap_or_else(|| token.to_string());
            found.push(Use { line, room });
            return at + usize::from(!end);
        }
    }
    tokens.len()
}

fn follow_each(group: TokenStream, path: &[String], found: &mut Vec<Use>) {
    let tokens: Vec<TokenTree> = group.into_iter().collect();
    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
    for branch in tokens.split(is_comma).filter(|branch| !branch.is_empty()) {
        follow(branch, path.to_vec(), found);
    }
}

fn separates(tokens: &[TokenTree]) -> bool {
    let is_colon = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':');
    tokens.len() >= 2 && tokens[..2].iter().all(is_colon)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        violations(&Tree::new([(path, text)]))
    }

    #[test]
    fn lower_floors_and_the_own_room_are_free() {
        let text = "
            use crate::record::{Change, Version};
            use crate::{handler::Handler, router::table::Entry};
            use self::table::Entry;
            use super::router::keys;
            pub(crate) fn route(entry: &crate::record::Record) {}
            pub(in crate::router) struct Entry;
        ";
        assert_eq!(found("src/router/mod.rs", text), [""; 0]);
    }

    #[test]
    fn a_neighbour_is_not() {
        assert_eq!(
            found("src/router.rs", "\nuse crate::replica::Replica;"),
            ["src/router.rs:2: router uses its neighbour replica (floor 2)"]
        );
    }

    #[test]
    fn a_higher_floor_is_not() {
        assert_eq!(
            found("src/record/wire/mod.rs", "use crate::dispatch::Report;"),
            ["src/record/wire/mod.rs:1: record (floor 0) uses dispatch, which is above it (floor 3)"]
        );
    }

    #[test]
    fn every_way_to_write_a_path_is_seen() {
        for text in [
            "use crate::{record::Record, source::{lambda, export}};",
            "use crate::{self as house, source};",
            "use {crate::source::lambda};",
            "use super::super::source::lambda;",
            "use super::super::{source};",
            "use anabranch::source;",
            "fn call() { ::anabranch::source::run() }",
            "fn call() -> Vec<crate::source::Lambda> { Vec::new() }",
            "fn call() { vec![crate::source::run::<u8>()] }",
            "fn call() { keep::<crate::record::Of<crate::source::Lambda>>() }",
            "macro_rules! call { () => { $crate::source::run() } }",
            "mod inner { use super::super::super::source::lambda; }",
            "impl Name for u8 { fn call() { crate::source::run() } }",
            "pub use crate::source::*;",
        ] {
            let found = found("src/router/table.rs", text);
            let hits = found.iter().filter(|violation| violation.contains("uses source")).count();
            assert!(hits > 0, "{text}: {found:?}");
        }
    }

    #[test]
    fn rooms_are_named_not_what_the_front_door_shows() {
        for text in ["use crate::Record;", "use super::*;", "use crate::*;", "use crate::{self as house};"] {
            let found = found("src/router/mod.rs", text);
            assert!(found.len() == 1 && found[0].ends_with("which is no room"), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_room_has_one_public_name() {
        let found = |text: &str| aliases(&Tree::new([("src/sink/mod.rs", text)]));
        assert_eq!(found("pub use crate::aws;"), ["src/sink/mod.rs: sink::aws"]);
        assert_eq!(found("pub use crate::{aws as cloud, record::Version};"), ["src/sink/mod.rs: sink::cloud"]);
        for fine in
            ["use crate::aws;", "pub(crate) use crate::aws;", "pub use crate::record::Version;", "pub use table::Row;"]
        {
            assert_eq!(found(fine), [""; 0], "{fine}");
        }
    }

    #[test]
    fn a_room_needs_a_floor() {
        assert_eq!(found("src/attic.rs", "struct Trunk;"), ["src/attic.rs: the room attic has no floor"]);
    }

    #[test]
    fn tests_may_use_the_kit_and_nothing_else_of_the_upper_floors() {
        let kit = "#[cfg(test)] mod tests { use super::*; use crate::testing::Batch; }";
        assert_eq!(found("src/handler/mod.rs", kit), [""; 0]);
        let without_cfg = "mod tests { use crate::testing::Batch; }";
        assert_eq!(found("src/handler/mod.rs", without_cfg).len(), 1);
        let with_feature = "#[cfg(any(test, feature = \"testing\"))] mod tests { use crate::testing::Batch; }";
        assert_eq!(found("src/handler/mod.rs", with_feature).len(), 1);
        let neighbour = "#[cfg(test)] mod tests { use crate::sink::Memory; }";
        assert_eq!(found("src/handler/mod.rs", neighbour).len(), 1);
    }

    #[test]
    fn a_test_in_a_file_of_its_own_is_still_a_test() {
        let tests = ("src/handler/lanes/tests.rs", "use crate::testing::Batch;");
        for declared in ["src/handler/lanes.rs", "src/handler/lanes/mod.rs"] {
            assert_eq!(violations(&Tree::new([(declared, "#[cfg(test)] mod tests;"), tests])), [""; 0]);
            assert_eq!(violations(&Tree::new([(declared, "mod tests;"), tests])).len(), 1);
        }
    }

    #[test]
    fn the_front_door_and_the_command_line_are_above_all() {
        let text = "pub use crate::{record::Record, dispatch::Report};";
        assert_eq!(found("src/lib.rs", text), [""; 0]);
        assert_eq!(found("src/bin/anabranch/main.rs", "use anabranch::testing::Batch;"), [""; 0]);
    }
}
