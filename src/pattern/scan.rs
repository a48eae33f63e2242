//! Matching: one pass over a record's bytes, past everything that no pattern asks for, up to where the answer is certain.
//!
//! What a record says is the list of its leaves: values that are neither objects nor arrays, each with its path. Arrays add nothing to a
//! path, but conditions below one array must hold for one of its elements together. `exists: false` holds where the record has no
//! leaf of that path anywhere, which is why it cannot see objects (ESM-21).
//!
//! A field is taken to stand in its object once. Should it stand there again, be it as a dotted name, a rule that has failed stays so.

use std::borrow::Cow;

use crate::record::wire::walk::{RawText, number, past_space, skip_items, skip_value, string};

use super::{
    error::NotARecord,
    marks::Marks,
    operator::Leaf,
    program::{Machine, Node, Program},
};

/// How deep a record may be nested where a pattern looks, as in the reader of the wire.
const DEEPEST: u8 = 127;

impl Machine {
    /// Whether one of the patterns matches.
    pub(super) fn matches(&self, record: &[u8]) -> Result<bool, NotARecord> {
        match self {
            Self::Small(program) => program.matches(record),
            Self::Large(program) => program.matches(record),
        }
    }
}

impl<M: Marks> Program<M> {
    fn matches(&self, record: &[u8]) -> Result<bool, NotARecord> {
        let mut scan = Scan::new(self, M::none(self.marks));
        if let Some(decided) = scan.record(record)? {
            return Ok(decided);
        }
        let mut absent = self.absent.clone();
        absent.remove(&scan.seen);
        if scan.holds_with(&absent) {
            return Ok(true);
        }
        if absent.is_empty() || !scan.undecided {
            return Ok(false);
        }
        // Elements of an array have to be looked at once more, now that it is known which fields are missing everywhere.
        let mut scan = Scan::new(self, absent.clone());
        Ok(scan.record(record)?.unwrap_or_else(|| scan.holds_with(&absent)))
    }
}

/// Why reading ends before the record does.
enum End {
    Decided(bool),
    /// The bytes that are left begin with no JSON.
    Broken(usize),
}

type Walk<'a> = Result<&'a [u8], End>;

struct Scan<'p, M> {
    program: &'p Program<M>,
    /// The marks that hold because their fields are known to be missing.
    absent: M,
    /// The marks that are set.
    hits: M,
    /// The marks that hold for missing fields, of fields that are there.
    seen: M,
    /// The rules that cannot hold any more.
    lost: M,
    /// How many arrays are open.
    arrays: usize,
    /// Whether an element of an array failed where a missing field might have helped.
    undecided: bool,
}

impl<'p, M: Marks> Scan<'p, M> {
    fn new(program: &'p Program<M>, absent: M) -> Self {
        let none = M::none(program.marks);
        let (hits, seen, lost) = (absent.clone(), none.clone(), none);
        Self { program, absent, hits, seen, lost, arrays: 0, undecided: false }
    }

    /// Reads a record as far as needed; nothing if all of it was read and missing fields decide.
    fn record(&mut self, record: &[u8]) -> Result<Option<bool>, NotARecord> {
        let read = match past_space(record) {
            [b'{', inside @ ..] => self.object(inside, 0, DEEPEST),
            other => broken(other),
        };
        match read.map(past_space) {
            Ok([]) => Ok(None),
            Ok(rest) => Err(NotARecord { offset: record.len() - rest.len() }),
            Err(End::Decided(decided)) => Ok(Some(decided)),
            Err(End::Broken(left)) => Err(NotARecord { offset: record.len() - left }),
        }
    }

    fn value<'a>(&mut self, rest: &'a [u8], node: usize, depth: u8) -> Walk<'a> {
        let deeper = || depth.checked_sub(1).ok_or(End::Broken(rest.len()));
        match past_space(rest) {
            [b'{', inside @ ..] if !self.program.nodes[node].children.is_empty() => {
                self.object(inside, node, deeper()?)
            }
            rest @ [b'{', ..] => skip(rest),
            [b'[', inside @ ..] => self.array(inside, node, deeper()?),
            rest => self.leaf(rest, node),
        }
    }

    /// From behind an opening brace to behind the closing one.
    fn object<'a>(&mut self, rest: &'a [u8], node: usize, depth: u8) -> Walk<'a> {
        let mut rest = match past_space(rest) {
            [b'"', name @ ..] => name,
            [b'}', after @ ..] => return Ok(after),
            other => return broken(other),
        };
        loop {
            let (name, after) = string(rest).ok_or(End::Broken(rest.len()))?;
            let value = match after {
                [b':', value @ ..] => value,
                _ => past_space(after).strip_prefix(b":").ok_or(End::Broken(after.len()))?,
            };
            let after = match self.find(node, name) {
                Some(child) => self.value(value, child, depth)?,
                // Only the change of a record holds items.
                None if node == 0 => skip_items(past_space(value)).ok_or(End::Broken(value.len()))?,
                None => skip(value)?,
            };
            rest = match after {
                [b',', b'"', name @ ..] => name,
                [b'}', after @ ..] => return Ok(after),
                _ => match past_space(after) {
                    [b'}', after @ ..] => return Ok(after),
                    [b',', after @ ..] => past_space(after).strip_prefix(b"\"").ok_or(End::Broken(after.len()))?,
                    other => return broken(other),
                },
            };
        }
    }

    /// From behind an opening bracket to behind the closing one. What holds below must hold for one element.
    fn array<'a>(&mut self, rest: &'a [u8], node: usize, depth: u8) -> Walk<'a> {
        let program = self.program;
        let under = &program.nodes[node].under;
        let mut found = self.hits.clone();
        self.arrays += 1;
        let after = self.elements(rest, node, depth, &mut found)?;
        self.arrays -= 1;
        self.hits.remove(under);
        self.hits.add(&found, &program.all);
        self.decide()?;
        Ok(after)
    }

    fn elements<'a>(&mut self, rest: &'a [u8], node: usize, depth: u8, found: &mut M) -> Walk<'a> {
        let mut rest = past_space(rest);
        if let [b']', after @ ..] = rest {
            return Ok(after);
        }
        let under = &self.program.nodes[node].under;
        loop {
            self.hits.remove(under);
            self.hits.add(&self.absent, under);
            let after = past_space(self.value(rest, node, depth)?);
            self.keep(under, found);
            rest = match after {
                [b',', element @ ..] => element,
                [b']', after @ ..] => return Ok(after),
                other => return broken(other),
            };
        }
    }

    /// Adds the marks of those rules for which an element is all that they ask for.
    fn keep(&mut self, under: &M, found: &mut M) {
        for rule in &self.program.rules {
            if self.hits.covers(rule, under) {
                found.add(rule, under);
            } else {
                self.undecided = true;
            }
        }
    }

    fn leaf<'a>(&mut self, rest: &'a [u8], node: usize) -> Walk<'a> {
        let node = &self.program.nodes[node];
        if node.checks.is_empty() && node.absent.is_empty() {
            return skip(rest);
        }
        let (leaf, after) = leaf(rest).ok_or(End::Broken(rest.len()))?;
        self.check(node, &leaf)?;
        Ok(after)
    }

    fn check(&mut self, node: &Node<M>, leaf: &Leaf<'_>) -> Result<(), End> {
        let all = &self.program.all;
        self.seen.add(&node.absent, all);
        self.lost.add(&node.refuses, all);
        for check in &node.checks {
            if check.operators.iter().any(|operator| operator.holds(leaf)) {
                self.hits.add(&check.marks, all);
            } else if self.arrays == 0 && !self.hits.covers(&check.marks, all) {
                self.lost.add(&check.rules, all);
            }
        }
        self.decide()
    }

    /// Ends reading once a rule holds, or none can hold any more.
    fn decide(&self) -> Result<(), End> {
        if self.arrays > 0 {
            return Ok(());
        }
        let mut open = false;
        for (number, rule) in self.program.rules.iter().enumerate() {
            if self.lost.has(number) {
                continue;
            }
            if self.hits.covers(rule, &self.program.all) {
                return Err(End::Decided(true));
            }
            open = true;
        }
        if open { Ok(()) } else { Err(End::Decided(false)) }
    }

    /// Whether a rule holds at the end of the record.
    fn holds_with(&mut self, absent: &M) -> bool {
        self.hits.add(absent, &self.program.all);
        matches!(self.decide(), Err(End::Decided(true)))
    }

    /// The node of a member, if anybody asks for it.
    #[inline(always)]
    fn find(&self, node: usize, name: RawText<'_>) -> Option<usize> {
        if name.escaped {
            return self.find_resolved(node, name);
        }
        self.find_plain(node, name.content)
    }

    #[cold]
    fn find_resolved(&self, node: usize, name: RawText<'_>) -> Option<usize> {
        self.find_plain(node, name.resolve()?.as_bytes())
    }

    #[inline]
    fn find_plain(&self, node: usize, name: &[u8]) -> Option<usize> {
        for child in &self.program.nodes[node].children {
            let (length, first) = (child.name.len(), child.name.first());
            if first != name.first() && length > 0 || length > name.len() {
                continue;
            }
            if *child.name == name[..length] {
                match name.get(length) {
                    None => return Some(child.node),
                    Some(b'.') => return self.find_plain(child.node, &name[length + 1..]),
                    Some(_) => {}
                }
            }
        }
        None
    }
}

fn skip(rest: &[u8]) -> Walk<'_> {
    skip_value(rest).ok_or(End::Broken(rest.len()))
}

fn broken(rest: &[u8]) -> Walk<'_> {
    Err(End::Broken(rest.len()))
}

/// The value that the rest begins with, which is no object and no array.
fn leaf(rest: &[u8]) -> Option<(Leaf<'_>, &[u8])> {
    match rest {
        [b'"', content @ ..] => {
            let (text, after) = string(content)?;
            Some((text_leaf(text), after))
        }
        [b't', after @ ..] => Some((Leaf::Bool(true), after.strip_prefix(b"rue")?)),
        [b'f', after @ ..] => Some((Leaf::Bool(false), after.strip_prefix(b"alse")?)),
        [b'n', after @ ..] => Some((Leaf::Null, after.strip_prefix(b"ull")?)),
        [b'-' | b'0'..=b'9', ..] => {
            let (digits, after) = number(rest);
            Some((Leaf::Number(digits), after))
        }
        _ => None,
    }
}

fn text_leaf(text: RawText<'_>) -> Leaf<'_> {
    if !text.escaped {
        return Leaf::Text(Cow::Borrowed(text.content));
    }
    text.resolve().map_or(Leaf::Unreadable, |text| Leaf::Text(text.into_owned().into_bytes().into()))
}
