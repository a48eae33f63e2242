//! Where in a JSON text an offset is, as a path: walked again, slowly, once there is an error to report.

use super::{members::Members, scan::past_space, skip};

/// As many steps as lead to the deepest value of an item that DynamoDB accepts.
const DEEPEST: usize = 2 * 32 + 4;

/// Names longer than this are cut in a path.
const LONGEST_NAME: usize = 64;

/// Appends the path from the value that begins `json` to the innermost value that holds `offset`.
///
/// Broken JSON is walked as far as it goes, and nonsense no deeper than an item can be.
pub(super) fn append(path: &mut String, json: &[u8], offset: usize) {
    let mut at = past_space(json, 0);
    for _ in 0..DEEPEST {
        let inner = match json.get(at) {
            Some(b'{') => member(path, json, at, offset),
            Some(b'[') => element(path, json, at, offset),
            _ => None,
        };
        match inner {
            Some(inner) => at = inner,
            None => return,
        }
    }
}

/// Goes into the member of an object that holds `offset`.
fn member(path: &mut String, json: &[u8], at: usize, offset: usize) -> Option<usize> {
    let mut members = Members::of(json, at);
    while let Ok(Some((name, value))) = members.next_key() {
        let skipped = members.skip_value();
        if offset < value {
            return None;
        }
        if skipped.as_ref().map_or(true, |value| offset < value.end) {
            push_name(path, &name);
            return Some(value);
        }
    }
    None
}

/// Goes into the element of an array that holds `offset`.
fn element(path: &mut String, json: &[u8], at: usize, offset: usize) -> Option<usize> {
    let mut at = past_space(json, at + 1);
    for index in 0.. {
        if offset < at || json.get(at).is_none_or(|&byte| byte == b']') {
            return None;
        }
        let end = skip::value(&json[at..]).map(|rest| json.len() - rest.len());
        if end.is_none_or(|end| offset < end) {
            path.push_str(&format!("[{index}]"));
            return Some(at);
        }
        at = past_space(json, end?);
        if json.get(at) == Some(&b',') {
            at = past_space(json, at + 1);
        }
    }
    None
}

/// `.name`, or `["odd name"]`.
fn push_name(path: &mut String, name: &str) {
    let cut: String = name.chars().take(LONGEST_NAME).collect();
    let dots = if cut.len() < name.len() { ".." } else { "" };
    if !cut.is_empty() && cut.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') && dots.is_empty() {
        path.push('.');
        path.push_str(&cut);
    } else {
        path.push_str(&format!("[{:?}]", cut + dots));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(json: &str, offset: usize) -> String {
        let mut path = String::from("$");
        append(&mut path, json.as_bytes(), offset);
        path
    }

    #[test]
    fn offsets_become_paths() {
        let json = r#"{"a":{"S":"x"}, "tags" : {"L":[{"S":"y"}, {"N":"no"}]}, "odd.name":{"S":"z"}}"#;
        let at = |needle: &str| json.find(needle).unwrap();
        assert_eq!(path(json, 0), "$");
        assert_eq!(path(json, at("\"x\"")), "$.a.S");
        assert_eq!(path(json, at("\"no\"")), "$.tags.L[1].N");
        assert_eq!(path(json, at("{\"N\"")), "$.tags.L[1]");
        assert_eq!(path(json, at("\"z\"")), r#"$["odd.name"].S"#);
        assert_eq!(path(json, json.len() - 1), "$");
    }

    #[test]
    fn broken_json_is_walked_as_far_as_it_goes() {
        assert_eq!(path(r#"{"a":{"M":{"b":{"S":"x"#, 21), "$.a.M.b.S");
        assert_eq!(path(r#"{"a":[1,2,{"b":tru"#, 15), "$.a[2].b");
        assert_eq!(path("nonsense", 3), "$");
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "[".repeat(100_000);
        assert_eq!(path(&deep, 99_999).len(), 1 + 3 * DEEPEST);
    }

    #[test]
    fn long_names_are_cut() {
        let json = format!(r#"{{"{}":1}}"#, "n".repeat(5000));
        assert_eq!(path(&json, json.len() - 2).len(), 1 + 4 + LONGEST_NAME + 2);
    }
}
