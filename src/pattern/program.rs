//! Patterns made ready for matching: one tree of all fields that any of them asks for.
//!
//! Every rule has a *mark* of its own for each of its conditions. A rule holds when all of its marks are set.

use super::{
    marks::Marks,
    operator::Operator,
    parse::{Parsed, Rule},
};

/// One or more patterns, of which one has to match.
#[derive(Debug, Clone)]
pub(super) enum Machine {
    /// With up to 64 marks.
    Small(Program<u64>),
    Large(Program<Box<[u64]>>),
}

#[derive(Debug, Clone)]
pub(super) struct Program<M> {
    /// The first is the record itself.
    pub(super) nodes: Vec<Node<M>>,
    /// The marks of each rule.
    pub(super) rules: Vec<M>,
    /// The marks of conditions that hold where their field is missing.
    pub(super) absent: M,
    /// All marks.
    pub(super) all: M,
    pub(super) marks: usize,
}

/// A field that leads to conditions, or has some, or both.
#[derive(Debug, Clone)]
pub(super) struct Node<M> {
    pub(super) children: Vec<Child>,
    pub(super) checks: Vec<Check<M>>,
    /// The marks that hold only as long as the field is missing.
    pub(super) absent: M,
    /// The rules that are lost when the field is there at all.
    pub(super) refuses: M,
    /// The marks that this field or one below it can set.
    pub(super) under: M,
}

#[derive(Debug, Clone)]
pub(super) struct Child {
    pub(super) name: Box<[u8]>,
    pub(super) node: usize,
}

/// The alternatives of a condition that ask for a value.
#[derive(Debug, Clone)]
pub(super) struct Check<M> {
    pub(super) operators: Box<[Operator]>,
    /// What is set when one of them holds.
    pub(super) marks: M,
    /// The rules that are lost otherwise.
    pub(super) rules: M,
}

impl Machine {
    pub(super) fn of<'a>(patterns: impl IntoIterator<Item = &'a Parsed>) -> Self {
        let patterns: Vec<&Parsed> = patterns.into_iter().collect();
        // A rule without conditions has no pattern to come from; still each takes a mark for itself.
        let marks = patterns.iter().flat_map(|pattern| &pattern.rules).map(|rule| rule.len().max(1)).sum();
        if marks <= 64 {
            Self::Small(Program::of(&patterns, marks))
        } else {
            Self::Large(Program::of(&patterns, marks))
        }
    }
}

impl<M: Marks> Program<M> {
    fn of(patterns: &[&Parsed], marks: usize) -> Self {
        let none = M::none(marks);
        let mut all = none.clone();
        (0..marks).for_each(|mark| all.set(mark));
        let mut program = Self { nodes: Vec::new(), rules: Vec::new(), absent: none, all, marks };
        program.new_node();
        let mut next = 0;
        for pattern in patterns {
            program.add(pattern, &mut next);
        }
        program
    }

    fn add(&mut self, pattern: &Parsed, next: &mut usize) {
        let first_rule = self.rules.len();
        let (mut marks, mut rules) = (vec![M::none(self.marks); pattern.conditions.len()], Vec::new());
        rules.clone_from(&marks);
        for (number, rule) in pattern.rules.iter().enumerate() {
            let own = self.mark(rule, next, |condition, mark| {
                marks[condition].set(mark);
                rules[condition].set(first_rule + number);
            });
            self.rules.push(own);
        }
        for ((condition, marks), rules) in pattern.conditions.iter().zip(marks).zip(rules) {
            let node = self.node_at(&condition.path, &marks);
            let operators: Vec<Operator> =
                condition.alternatives.iter().map(|alternative| alternative.operator.clone()).collect();
            self.put(node, operators, condition.holds_if_absent(), marks, rules);
        }
    }

    /// The marks of a rule, each told of with its condition.
    fn mark(&self, rule: &Rule, next: &mut usize, mut tell: impl FnMut(usize, usize)) -> M {
        let mut own = M::none(self.marks);
        for condition in rule {
            own.set(*next);
            tell(*condition, *next);
            *next += 1;
        }
        own
    }

    fn put(&mut self, node: usize, mut operators: Vec<Operator>, absent: bool, marks: M, rules: M) {
        operators.retain(|operator| *operator != Operator::Exists(false));
        let node = &mut self.nodes[node];
        if absent {
            self.absent.add(&marks, &self.all);
            node.absent.add(&marks, &self.all);
        }
        match operators.is_empty() {
            true => node.refuses.add(&rules, &self.all),
            false => node.checks.push(Check { operators: operators.into(), marks, rules }),
        }
    }

    /// The node of a field, made with all that leads to it if it is not there yet.
    fn node_at(&mut self, path: &str, marks: &M) -> usize {
        let mut node = 0;
        self.nodes[node].under.add(marks, &self.all);
        for name in path.split('.') {
            let known = self.nodes[node].children.iter().find(|child| *child.name == *name.as_bytes());
            node = match known {
                Some(child) => child.node,
                None => {
                    let child = Child { name: name.as_bytes().into(), node: self.nodes.len() };
                    self.nodes[node].children.push(child);
                    self.new_node()
                }
            };
            self.nodes[node].under.add(marks, &self.all);
        }
        node
    }

    fn new_node(&mut self) -> usize {
        let none = M::none(self.marks);
        let (absent, refuses, under) = (none.clone(), none.clone(), none);
        self.nodes.push(Node { children: Vec::new(), checks: Vec::new(), absent, refuses, under });
        self.nodes.len() - 1
    }
}
