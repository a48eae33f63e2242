//! What must hold of every pattern and every record, be they any bytes at all.

use anabranch::{
    pattern::{FilterCriteria, Pattern},
    record::split,
};

/// Reads the bytes up to the first zero as a pattern and the others as a record: nothing panics, and all ways to match say the same.
pub(crate) fn check(bytes: &[u8]) {
    let zero = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (pattern, record) = (&bytes[..zero], bytes.get(zero + 1..).unwrap_or_default());
    let Ok(text) = str::from_utf8(pattern) else { return };
    match Pattern::parse(text) {
        Ok(pattern) => check_pattern(&pattern, record),
        Err(error) => {
            assert!(error.offset() <= text.len() && text.is_char_boundary(error.offset()), "{error}");
            assert!(error.to_string().len() < 2 * text.len() + 200, "{error}");
        }
    }
}

fn check_pattern(pattern: &Pattern, record: &[u8]) {
    let again = Pattern::parse(pattern.as_str()).expect("what is printed can be read");
    assert_eq!((again.as_str(), again.warnings().len()), (pattern.as_str(), pattern.warnings().len()));
    let warnings: Vec<String> = pattern.warnings().iter().map(ToString::to_string).collect();
    let matches = pattern.matches_json(record);
    let criteria: FilterCriteria = [pattern.clone(), pattern.clone()].into_iter().collect();
    assert_eq!(criteria.matches_json(record), matches, "twice the same pattern is the same");
    assert_eq!(again.matches_json(record), matches);
    if let Ok(explanation) = pattern.explain(record) {
        assert_eq!(Ok(explanation.matches), matches, "{pattern}");
        assert_eq!(explanation.warnings.len(), warnings.len());
        assert_eq!(explanation.matches, explanation.branches.iter().any(|branch| branch.holds), "{pattern}");
        let _ = explanation.to_string();
    }
    check_in_batch(pattern, record);
}

/// A record that the wire reader takes matches as its JSON does.
fn check_in_batch(pattern: &Pattern, record: &[u8]) {
    let payload = [b"{\"Records\":[", record, b"]}"].concat();
    let Ok(records) = split(payload.into()) else { return };
    for record in records.flatten() {
        assert_eq!(pattern.matches_json(record.json()), Ok(pattern.matches(&record)), "{pattern}");
    }
}
