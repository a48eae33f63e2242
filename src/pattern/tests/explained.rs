//! Explanations say what the matcher does, and why.

use crate::pattern::{FilterCriteria, Pattern};

fn explain(pattern: &str, record: &str) -> String {
    let pattern = Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let explanation = pattern.explain(record.as_bytes()).unwrap_or_else(|error| panic!("{record}: {error}"));
    assert_eq!(explanation.matches, pattern.matches_json(record.as_bytes()).unwrap());
    assert_eq!(explanation.matches, explanation.branches.iter().any(|branch| branch.holds));
    explanation.to_string()
}

#[test]
fn every_path_is_told_with_what_was_found() {
    let record = r#"{"eventName":"INSERT","dynamodb":{"NewImage":{"weightKg":{"N":"101"},"tags":{"SS":["a","b"]},"name":{"S":"Rex"}}}}"#;
    let pattern = r#"{"eventName":["INSERT"],"dynamodb":{"NewImage":{
        "weightKg":{"N":[{"numeric":[">",100]}]},"tags":{"SS":["c"]},"name":[{"exists":false}],"owner":{"S":["x",null]}}}}"#;
    let expected = r#"no match
  yes  eventName: "INSERT"
  no   dynamodb.NewImage.weightKg.N: "101", wanted [{"numeric":[">",100]}]
  no   dynamodb.NewImage.tags.SS: "a", "b", wanted ["c"]
  yes  dynamodb.NewImage.name: an object, not a value
  no   dynamodb.NewImage.owner.S: not there, wanted ["x",null]
  warning: dynamodb.NewImage.weightKg.N (offset 74): never matches: in the event this number is a text; use ["5"], prefix or anything-but with texts
  warning: dynamodb.NewImage.name (offset 126): always matches, even if the attribute is there: exists works on leaves only, so name the type, such as {"S": [{"exists": false}]}
  warning: dynamodb.NewImage.owner.S (offset 162): never matches: a text stands here
"#;
    assert_eq!(explain(pattern, record), expected);
}

#[test]
fn each_branch_of_an_or_is_told() {
    let pattern = r#"{"$or":[{"eventName":["INSERT"]},{"eventSource":["aws:dynamodb"]}]}"#;
    let expected = r#"match
  branch 1 of 2 does not hold
  no   eventName: "REMOVE", wanted ["INSERT"]
  branch 2 of 2 holds
  yes  eventSource: "aws:dynamodb"
"#;
    assert_eq!(explain(pattern, r#"{"eventName":"REMOVE","eventSource":"aws:dynamodb"}"#), expected);
}

#[test]
fn conditions_that_hold_for_different_elements_are_told() {
    let image = r#"{"visits":{"L":{"M":{"at":{"S":["a"]},"cost":{"N":["5"]}}}}}"#;
    let pattern = format!(r#"{{"dynamodb":{{"NewImage":{image}}}}}"#);
    let record = r#"{"dynamodb":{"NewImage":{"visits":{"L":[{"M":{"at":{"S":"a"}}},{"M":{"cost":{"N":"5"}}}]}}}}"#;
    let expected = r#"no match
  yes  dynamodb.NewImage.visits.L.M.at.S: "a"
  yes  dynamodb.NewImage.visits.L.M.cost.N: "5"
  no   element of a list has all that is asked of its elements
"#;
    assert_eq!(explain(&pattern, record), expected);
}

#[test]
fn values_are_cut() {
    let long = "é".repeat(500);
    let record = format!(r#"{{"eventID":["{long}",1,2,3,4,5,6]}}"#);
    let explained = explain(r#"{"eventID":["x"]}"#, &record);
    assert!(explained.contains(&format!("\"{}.., 1, 2, 3, 4, wanted", "é".repeat(79))), "{explained}");
}

#[test]
fn explanations_are_data_too() {
    let criteria = FilterCriteria::parse([r#"{"eventName":["DELETE"]}"#, r#"{"eventName":["REMOVE"]}"#]).unwrap();
    let explanations = criteria.explain(br#"{"eventName":"REMOVE"}"#).unwrap();
    let json = serde_json::to_value(&explanations).unwrap();
    assert_eq!(json[0]["matches"], false);
    assert_eq!(json[1]["branches"][0]["findings"][0]["found"][0], "\"REMOVE\"");
    assert_eq!(json[0]["warnings"].as_array().map(Vec::len), Some(1));
    for broken in [b"{".as_slice(), b"\xff", b"[]"] {
        assert!(criteria.explain(broken).is_err());
    }
}
