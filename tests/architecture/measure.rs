//! How long things are.

use std::fmt;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, Item, ItemFn, ItemMod, Signature, TraitItemFn};

use crate::tree::{Tree, attributes, only_for_tests};

/// A function outside of tests.
pub(crate) struct Function {
    name: String,
    at: String,
    /// From `fn` to the closing brace.
    pub(crate) lines: usize,
}

impl fmt::Display for Function {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} has {} lines", self.at, self.name, self.lines)
    }
}

/// How the lengths of functions spread.
#[derive(Debug)]
pub(crate) struct Spread {
    pub(crate) median: usize,
    pub(crate) p95: usize,
}

impl Spread {
    /// Sorts the functions by length on the way. No functions have no length.
    pub(crate) fn of(functions: &mut [Function]) -> Self {
        functions.sort_by_key(|function| function.lines);
        let at = |percent: usize| functions.get(functions.len() * percent / 100).map_or(0, |function| function.lines);
        Self { median: at(50), p95: at(95) }
    }
}

/// Every function outside of tests.
pub(crate) fn functions(tree: &Tree) -> Vec<Function> {
    let mut functions = Functions { at: String::new(), found: Vec::new() };
    for place in tree.places().iter().filter(|place| !place.test) {
        functions.at.clone_from(&place.file.path);
        functions.visit_item(place.item);
    }
    functions.found
}

struct Functions {
    at: String,
    found: Vec<Function>,
}

impl Functions {
    fn add(&mut self, signature: &Signature, body: &Block) {
        let first = signature.span().start().line;
        let last = body.brace_token.span.close().end().line;
        let (name, at) = (signature.ident.to_string(), format!("{}:{first}", self.at));
        self.found.push(Function { name, at, lines: last - first + 1 });
    }
}

impl<'a> Visit<'a> for Functions {
    fn visit_item_fn(&mut self, function: &'a ItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'a ImplItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'a TraitItemFn) {
        if let Some(body) = &function.default {
            self.add(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

/// The files that have more lines than that when their unit tests are taken away.
pub(crate) fn long_files(tree: &Tree, most: usize) -> Vec<String> {
    let files = tree.files().filter(|file| !tree.is_test(file));
    let lines = files.map(|file| (file, file.lines() - test_lines(file.items())));
    lines.filter(|(_, lines)| *lines > most).map(|(file, lines)| format!("{}: {lines} lines", file.path)).collect()
}

fn test_lines(items: &[Item]) -> usize {
    let lines = items.iter().map(|item| match item {
        item if only_for_tests(attributes(item)) => {
            let span = item.span();
            span.end().line - span.start().line + 1
        }
        Item::Mod(ItemMod { content: Some((_, items)), .. }) => test_lines(items),
        _ => 0,
    });
    lines.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(text: &str) -> Vec<(String, usize)> {
        let tree = Tree::new([("src/handler/mod.rs", text)]);
        functions(&tree).into_iter().map(|function| (function.name, function.lines)).collect()
    }

    #[test]
    fn a_function_is_as_long_as_its_lines() {
        let text = "
            /// Documentation is not the function.
            #[inline]
            pub fn free(
                one: u8,
            ) -> u8 {
                one
            }
            impl Name for u8 { fn method() {
            } }
            trait Name { fn method(); fn provided() {
                fn nested() {}
            } }
            #[cfg(test)]
            mod tests { fn unseen() {} }
        ";
        let expected = [("free", 5), ("method", 2), ("provided", 3), ("nested", 1)];
        assert_eq!(lengths(text), expected.map(|(name, lines)| (name.to_owned(), lines)));
    }

    #[test]
    fn the_spread_is_read_from_the_sorted_lengths() {
        let function = |lines| Function { name: String::new(), at: String::new(), lines };
        let mut functions: Vec<Function> = (1..=100).rev().map(function).collect();
        let spread = Spread::of(&mut functions);
        assert_eq!((spread.median, spread.p95), (51, 96));
        assert_eq!(Spread::of(&mut []).p95, 0);
    }

    #[test]
    fn a_file_is_measured_without_its_tests() {
        let code = "struct One;\nstruct Two;\n";
        let tests = "#[cfg(test)]
mod tests {
    fn one() {
    }

    fn two() {
    }
}
";
        let tree = Tree::new([("src/handler/mod.rs", format!("{code}{tests}"))]);
        assert_eq!(long_files(&tree, 2), [""; 0]);
        assert_eq!(long_files(&tree, 1).len(), 1);
    }

    #[test]
    fn a_file_of_tests_has_no_limit() {
        let tests = "fn one() {}\nfn two() {}\n";
        let tree =
            |declared: &'static str| Tree::new([("src/handler/mod.rs", declared), ("src/handler/tests.rs", tests)]);
        assert_eq!(long_files(&tree("#[cfg(test)] mod tests;"), 1), [""; 0]);
        assert_eq!(long_files(&tree("mod tests;"), 1).len(), 1);
    }
}
