//! Whole templates.

use super::*;

const SAM: &str = "\
Transform: AWS::Serverless-2016-10-31
Parameters:
  Endpoint: {Type: String, Default: ''}
  Imported: {Type: String}
Conditions:
  Searching: !Not [!Equals [!Ref Endpoint, '']]
Globals:
  Function:
    Timeout: 60
    Runtime: provided.al2023
    Environment: {Variables: {LOG: info, MODE: all}}
Resources:
  Pets:
    Type: AWS::DynamoDB::Table
    Properties:
      KeySchema: [{AttributeName: PK, KeyType: HASH}, {AttributeName: SK, KeyType: RANGE}]
      AttributeDefinitions: [{AttributeName: PK, AttributeType: S}, {AttributeName: SK, AttributeType: N}]
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
      TimeToLiveSpecification: {AttributeName: expires, Enabled: true}
  Failures: {Type: 'AWS::SQS::Queue'}
  Copy:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: rust-cargolambda, BuildProperties: {Binary: replicate}}
    Properties:
      CodeUri: .
      MemorySize: 256
      Environment: {Variables: {MODE: one, TABLE: !Ref Pets}}
      Policies:
        - Statement: {Action: 'dynamodb:PutItem', Resource: !GetAtt Pets.Arn}
        - SQSSendMessagePolicy: {QueueName: !GetAtt Failures.QueueName}
      Events:
        Changes:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Pets.StreamArn
            StartingPosition: TRIM_HORIZON
            BatchSize: 1000
            MaximumRetryAttempts: many
            ParallelizationFactor: !Ref Imported
            FunctionResponseTypes: [ReportBatchItemFailures]
            FilterCriteria:
              Filters:
                - Pattern: '{\"eventName\": [\"INSERT\"]}'
            DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Failures.Arn}}
  Index:
    Type: AWS::Serverless::Function
    Condition: Searching
    Properties:
      Timeout: 10
      Role: !GetAtt CopyRole.Arn
      Events: {Api: {Type: Api}}
";

fn sam() -> Template {
    Template::parse("template.yaml", SAM).expect("a template")
}

#[test]
fn a_table_has_its_keys_and_its_stream() {
    let table = &sam().tables()[0];
    assert_eq!(table.stream_view.known().map(String::as_str), Some("NEW_AND_OLD_IMAGES"));
    assert_eq!(table.time_to_live.known().map(String::as_str), Some("expires"));
    let keys: Vec<_> = table.keys.iter().map(|key| (key.name.as_str(), key.kind.as_deref())).collect();
    assert_eq!(keys, [("PK", Some("S")), ("SK", Some("N"))]);
}

#[test]
fn a_simple_table_has_the_key_that_sam_gives_it() {
    for (properties, name, kind) in [
        ("", "id", "S"),
        ("PrimaryKey: {Name: serial, Type: Number}", "serial", "N"),
        ("PrimaryKey: {Type: Binary}", "id", "B"),
    ] {
        let text = format!(
            "Resources: {{Notes: {{Type: 'AWS::Serverless::SimpleTable', Properties: {{{properties}}}}}, \
             Bare: {{Type: 'AWS::Serverless::SimpleTable'}}}}"
        );
        let tables = Template::parse("t", &text).expect("a template").tables();
        assert_eq!(tables[0].keys, [Key { name: name.to_owned(), kind: Some(kind.to_owned()) }], "{properties}");
        assert_eq!(tables[1].keys, [Key { name: "id".to_owned(), kind: Some("S".to_owned()) }]);
    }
}

#[test]
fn a_function_has_what_globals_say() {
    let functions = sam().functions();
    let copy = &functions[0];
    assert_eq!((copy.timeout.known(), copy.memory.known()), (Some(&60), Some(&256)));
    assert_eq!(copy.binary.known().map(String::as_str), Some("replicate"));
    let variables: Vec<_> = copy.environment.iter().map(|one| (&*one.name, one.value.as_str())).collect();
    assert_eq!(variables, [("LOG", Some("info")), ("MODE", Some("one")), ("TABLE", None)]);
    assert_eq!(functions[1].timeout.known(), Some(&10));
}

#[test]
fn a_role_is_known_as_far_as_it_is_written() {
    let functions = sam().functions();
    let copy = &functions[0].permissions;
    for action in ["dynamodb:PutItem", "dynamodb:GetRecords", "sqs:SendMessage"] {
        assert_eq!(copy.allows(action), Some(true), "{action}");
    }
    assert_eq!(copy.allows("dynamodb:DeleteItem"), Some(false));
    assert!(copy.allowing("dynamodb:PutItem").all(|statement| statement.names_items_of("Pets")));
    assert_eq!(functions[1].permissions.allows("dynamodb:DeleteItem"), None);
}

#[test]
fn an_event_is_a_mapping() {
    let template = sam();
    let [mapping] = &template.mappings()[..] else { panic!("one mapping") };
    assert_eq!((&*mapping.id, mapping.function.as_deref()), ("CopyChanges", Some("Copy")));
    assert_eq!(mapping.batch_size, Setting::Known(1000, Place { line: 37, column: 24 }));
    assert_eq!(mapping.retries, Setting::Unreadable(Place { line: 38, column: 35 }));
    assert!(matches!(mapping.parallelization, Setting::Unknown(_)));
    assert_eq!((mapping.bisect.or(false), mapping.window.or(0)), (Some(false), Some(0)));
    assert_eq!(mapping.reports_failures(), Some(true));
    let filters = mapping.filters.known().expect("a filter");
    assert_eq!(filters[0].pattern.known().map(String::as_str), Some(r#"{"eventName": ["INSERT"]}"#));
    assert_eq!(template.table_of(mapping).map(|table| table.id), Some("Pets".into()));
    let destination = mapping.on_failure.as_ref().and_then(Node::reference).map(ToString::to_string);
    assert_eq!(destination.as_deref(), Some("${Failures.Arn}"));
}

#[test]
fn conditions_say_what_is_deployed() {
    let active = |template: &Template| template.resource("Index").expect("there").active;
    assert_eq!(active(&sam()), Some(false));
    let given = BTreeMap::from([("Endpoint".to_owned(), "https://search".to_owned())]);
    assert_eq!(active(&Template::parse_with("template.yaml", SAM, &given).expect("a template")), Some(true));
}

#[test]
fn what_sam_makes_is_not_missing() {
    assert!(sam().undefined().is_empty());
    let broken = SAM.replace("!GetAtt CopyRole.Arn", "!GetAtt Nobody.Arn");
    let template = Template::parse("template.yaml", &broken).expect("a template");
    let names: Vec<_> = template.undefined().iter().map(|one| (&*one.name, one.place.line)).collect();
    assert_eq!(names, [("Nobody", 50)]);
}

#[test]
fn a_mapping_of_its_own_is_found_by_its_source() {
    let mapping = |source: &str| {
        let text = format!(
            "Parameters: {{TableStream: {{Type: String}}, Feed: {{Type: String}}}}
Resources:
  Pets: {{Type: 'AWS::DynamoDB::GlobalTable', Properties: {{Replicas: [{{Region: a}}, {{Region: b}}]}}}}
  Queue: {{Type: 'AWS::SQS::Queue'}}
  Work: {{Type: 'AWS::Lambda::Function', Properties: {{}}}}
  Live: {{Type: 'AWS::Lambda::Alias', Properties: {{FunctionName: !Ref Work, Name: live}}}}
  Map:
    Type: AWS::Lambda::EventSourceMapping
    Properties: {{FunctionName: !Ref Live, EventSourceArn: {source}}}
"
        );
        let template = Template::parse("t", &text).expect("a template");
        assert!(template.tables()[0].is_global);
        let found = template.mappings().pop();
        found.map(|found| template.function(&found.function.expect("a function")).expect("behind the alias").id)
    };
    for (source, expected) in [
        ("!GetAtt Pets.StreamArn", true),
        ("!Ref TableStream", true),
        ("!ImportValue shared-dynamodb-stream", true),
        ("'arn:aws:dynamodb:eu-west-1:123456789012:table/Pets/stream/2026'", true),
        ("!GetAtt Queue.Arn", false),
        ("!Ref Feed", false),
        ("'arn:aws:kinesis:eu-west-1:123456789012:stream/Tables'", false),
    ] {
        assert_eq!(mapping(source).as_deref(), expected.then_some("Work"), "{source}");
    }
}

#[test]
fn an_alias_of_itself_belongs_to_nothing() {
    let text = "Resources:
  Live: {Type: 'AWS::Lambda::Alias', Properties: {FunctionName: !Ref Live, Name: live}}
  Map: {Type: 'AWS::Lambda::EventSourceMapping', Properties: {FunctionName: !Ref Live, EventSourceArn: tables}}
";
    let template = Template::parse("t", text).expect("a template");
    assert!(template.function("Live").is_none());
    let mapping = &template.mappings()[0];
    assert_eq!((mapping.function.as_deref(), mapping.qualifier.as_deref()), (Some("Live"), None));
}

#[test]
fn what_is_no_template_is_refused() {
    for text in ["", "Resources: []", "- a", "Description: none", "Resources: {"] {
        assert!(Template::parse("t", text).is_err(), "{text}");
    }
}
