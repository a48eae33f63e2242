//! Expressions as people write them, with every name behind an alias: 573 words are reserved, and more may be.

use std::collections::HashMap;

/// Words of the language. An attribute of such a name has to be given an alias by hand.
const KEYWORDS: [&str; 5] = ["AND", "OR", "NOT", "BETWEEN", "IN"];

/// The aliases of one request.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    by_alias: HashMap<String, String>,
    by_name: HashMap<String, String>,
}

impl Names {
    /// With aliases that were given by hand, `#` and all.
    pub(super) fn new(given: &HashMap<String, String>) -> Self {
        Self { by_alias: given.clone(), by_name: HashMap::new() }
    }

    /// The aliases as a request takes them.
    pub(super) fn into_map(self) -> Option<HashMap<String, String>> {
        Some(self.by_alias).filter(|names| !names.is_empty())
    }

    /// The expression with an alias in the place of each attribute name.
    ///
    /// Keywords, functions (names before a parenthesis), `:values` and `#aliases` stay as they are.
    pub(super) fn rewrite(&mut self, expression: &str) -> String {
        let mut text = String::with_capacity(expression.len() + 16);
        let mut rest = expression;
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '#' | ':' => 1 + word_length(&rest[1..]),
                first if is_word(first) => word_length(rest),
                first => first.len_utf8(),
            };
            let (token, after) = rest.split_at(length);
            if is_name(token, after) {
                text.push_str(self.alias(token));
            } else {
                text.push_str(token);
            }
            rest = after;
        }
        text
    }

    /// A projection of attributes by their names, and of paths such as `name`, `address.city` and `tags[0]`.
    ///
    /// Between dots and brackets everything of a path belongs to the name.
    pub(super) fn project(&mut self, names: &[String], paths: &[String]) -> String {
        let mut all: Vec<String> = names.iter().map(|name| self.alias(name).to_owned()).collect();
        all.extend(paths.iter().map(|path| self.path(path)));
        all.join(", ")
    }

    fn path(&mut self, path: &str) -> String {
        let steps = path.split('.').map(|step| {
            let (name, index) = step.split_at(step.find('[').unwrap_or(step.len()));
            let name = if name.starts_with('#') { name } else { self.alias(name) };
            format!("{name}{index}")
        });
        steps.collect::<Vec<_>>().join(".")
    }

    fn alias(&mut self, name: &str) -> &str {
        if !self.by_name.contains_key(name) {
            let taken = &self.by_alias;
            let free = (taken.len()..).map(|n| format!("#n{n}")).find(|alias| !taken.contains_key(alias));
            let alias = free.expect("there are more numbers than names");
            self.by_alias.insert(alias.clone(), name.to_owned());
            self.by_name.insert(name.to_owned(), alias);
        }
        &self.by_name[name]
    }
}

/// The attributes that an expression names, some behind aliases that were given by hand.
pub(super) fn attributes(expression: &str, given: &HashMap<String, String>) -> Vec<String> {
    let mut names = Names::default();
    names.rewrite(expression);
    let tokens = expression.split(|character| !is_word(character) && character != '#');
    names.by_name.into_keys().chain(tokens.filter_map(|token| given.get(token).cloned())).collect()
}

fn is_name(token: &str, after: &str) -> bool {
    let word = token.chars().next().is_some_and(|first| is_word(first) && !first.is_ascii_digit());
    let keyword = KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(token));
    word && !keyword && !after.trim_start().starts_with('(')
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn word_length(text: &str) -> usize {
    text.find(|character| !is_word(character)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expression with its aliases put back.
    fn rewritten(expression: &str) -> (String, String) {
        let mut names = Names::default();
        let text = names.rewrite(expression);
        let mut back = text.clone();
        for (alias, name) in names.into_map().unwrap_or_default() {
            back = back.replace(&alias, &name);
        }
        (text, back)
    }

    #[test]
    fn every_name_gets_an_alias_and_nothing_else_changes() {
        for (expression, expected) in [
            ("status = :status", "#n0 = :status"),
            ("a = :a AND b=:b and NOT a = :c", "#n0 = :a AND #n1=:b and NOT #n0 = :c"),
            ("begins_with(SK, :p) OR size (tags) > :n", "begins_with(#n0, :p) OR size (#n1) > :n"),
            ("year BETWEEN :a AND :b", "#n0 BETWEEN :a AND :b"),
            ("state IN (:a, :b)", "#n0 IN (:a, :b)"),
            ("address.zip = :z AND list[10].name <> :n", "#n0.#n1 = :z AND #n2[10].#n3 <> :n"),
            ("attribute_exists(größe)", "attribute_exists(#n0)"),
            ("NOT (a = :a)", "NOT (#n0 = :a)"),
        ] {
            let (text, back) = rewritten(expression);
            assert_eq!((text.as_str(), back.as_str()), (expected, expression));
        }
    }

    #[test]
    fn aliases_given_by_hand_stay_and_are_not_taken_twice() {
        let given = HashMap::from([("#n1".to_owned(), "a-b".to_owned())]);
        let mut names = Names::new(&given);
        assert_eq!(names.rewrite("#n1 = :a AND size = :b AND name = :c"), "#n1 = :a AND #n2 = :b AND #n3 = :c");
        let map = names.into_map().unwrap();
        assert_eq!((map["#n1"].as_str(), map["#n2"].as_str(), map["#n3"].as_str()), ("a-b", "size", "name"));
    }

    #[test]
    fn attributes_are_named_by_themselves_or_by_aliases() {
        let given = [("#k", "PK"), ("#key", "other")].map(|(alias, name)| (alias.to_owned(), name.to_owned()));
        let mut names = attributes("#k = :PK AND begins_with(SK, :sk) AND SK <> :k", &given.into());
        names.sort_unstable();
        assert_eq!(names, ["PK", "SK"]);
    }

    #[test]
    fn projections_take_any_name_between_their_dots() {
        let mut names = Names::default();
        let keys = ["user.id".to_owned()];
        let paths = ["name", "pet-name", "address.city", "tags[0][1]", "name"].map(str::to_owned);
        assert_eq!(names.project(&keys, &paths), "#n0, #n1, #n2, #n3.#n4, #n5[0][1], #n1");
        let map = names.into_map().unwrap();
        assert_eq!((map["#n0"].as_str(), map["#n2"].as_str()), ("user.id", "pet-name"), "a key is no path");
    }
}
