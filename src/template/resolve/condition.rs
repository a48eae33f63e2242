//! `Fn::If` and the conditions that it names.

use super::{DEPTH, Resolver};
use crate::template::{Node, Place};

impl Resolver<'_> {
    /// The branch that the condition chooses. The other one is resolved too, for the names that it uses.
    pub(super) fn choose(&self, place: Place, argument: &Node) -> Option<Node> {
        let unknown = || Some(Node::unknown(place, "Fn::If"));
        let [condition, yes, no] = argument.elements() else { return unknown() };
        let (yes, no) = (self.resolve(yes), self.resolve(no));
        match condition.as_str().and_then(|name| self.holds(name)) {
            Some(true) => yes,
            Some(false) => no,
            None => unknown(),
        }
    }

    /// Whether a condition of the template holds, if that can be told.
    pub(in crate::template) fn holds(&self, name: &str) -> Option<bool> {
        if self.depth >= DEPTH {
            return None;
        }
        let deeper = Resolver { undefined: Default::default(), depth: self.depth + 1, ..*self };
        deeper.test(self.root.at(&["Conditions", name])?)
    }

    fn test(&self, condition: &Node) -> Option<bool> {
        let [entry] = condition.entries() else { return None };
        let parts = entry.value.elements();
        match (&*entry.key, parts) {
            ("Condition", _) => self.holds(entry.value.as_str()?),
            ("Fn::Equals", [left, right]) => self.equal(left, right),
            ("Fn::Not", [part]) => self.test(part).map(|holds| !holds),
            ("Fn::And", parts) => self.any(parts, false).map(|any| !any),
            ("Fn::Or", parts) => self.any(parts, true),
            _ => None,
        }
    }

    fn equal(&self, left: &Node, right: &Node) -> Option<bool> {
        let (left, right) = (self.resolve(left)?, self.resolve(right)?);
        Some(left.as_str()? == right.as_str()?)
    }

    /// Whether any of the conditions tests as wanted; those that nobody knows decide only if no other does.
    fn any(&self, conditions: &[Node], wanted: bool) -> Option<bool> {
        let mut all_known = true;
        for condition in conditions {
            match self.test(condition) {
                Some(holds) if holds == wanted => return Some(true),
                Some(_) => {}
                None => all_known = false,
            }
        }
        all_known.then_some(false)
    }
}
