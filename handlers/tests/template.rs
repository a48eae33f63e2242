//! `template.yaml` against the code: what one says and the other does not is found here, not in production.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::Arc,
};

use anabranch::{
    check::check,
    idempotency, lambda, notify,
    record::StreamView,
    replica,
    router::Router,
    search,
    sink::{dead_letter, index, ledger, publisher, table::Memory},
    source::backfill::{self, verify},
    template::{Function, Mapping, Node, Setting, Template},
    testing::embedded::PET_TRACKER_TTL,
    view,
};
use handlers::routers;

/// Parameters that switch on everything that the defaults leave out.
const EVERYTHING: [(&str, &str); 7] = [
    ("ReplicaRegion", "eu-west-1"),
    ("ReplicaRoleArn", "arn:aws:iam::123456789012:role/replica"),
    ("TopicType", "fifo"),
    ("SearchEndpoint", "https://search.example.com"),
    ("SearchDomainArn", "arn:aws:es:eu-west-1:123456789012:domain/pets"),
    ("SearchSecret", "search"),
    ("AlarmEmail", "someone@example.com"),
];

/// What a function's code says of itself.
struct Declared {
    binary: &'static str,
    filters: Vec<String>,
    view: &'static str,
    /// Actions and what they are allowed on, with the parameters' defaults.
    permissions: Vec<(&'static [&'static str], &'static str)>,
}

fn declared() -> Vec<Declared> {
    let table = Arc::new(Memory::new("table", ["PK", "SK"]));
    let (topic, leases) = (Arc::new(publisher::Memory::default()), Arc::new(ledger::Memory::default()));
    let search_server = Arc::new(index::Memory::new("search"));
    vec![
        of(
            "replicate",
            &routers::replicate(table.clone(), Some(table.clone())),
            vec![(replica::ACTIONS, "${Replica.Arn}"), (replica::REREAD_ACTIONS, "${PetTracker.Arn}")],
        ),
        of("materialize", &routers::materialize(table), vec![(view::ACTIONS, "${Views.Arn}")]),
        of(
            "notify",
            &routers::notify(topic, leases),
            vec![(notify::ACTIONS, "${News}"), (idempotency::ACTIONS, "${Leases.Arn}")],
        ),
        of(
            "index",
            &routers::index(search_server),
            vec![(search::ACTIONS, "arn:aws:es:eu-west-1:123456789012:domain/pets/*")],
        ),
    ]
}

fn of<V: StreamView>(
    binary: &'static str,
    router: &Router<V>,
    own: Vec<(&'static [&'static str], &'static str)>,
) -> Declared {
    let common = [(lambda::ACTIONS, "${PetTracker.Arn}/stream/*"), (dead_letter::ACTIONS, "${DeadLetters.Arn}")];
    let permissions = own.into_iter().chain(common).collect();
    Declared { binary, filters: router.filters(), view: V::NAME, permissions }
}

/// The function that no stream drives.
const BACKFILL: &str = "backfill";

/// What the backfill does to which resource, with a signed search server.
fn permissions_of_backfill() -> Vec<(&'static [&'static str], &'static str)> {
    vec![
        (backfill::ACTIONS, "${PetTracker.Arn}"),
        (replica::REREAD_ACTIONS, "${PetTracker.Arn}"),
        (replica::ACTIONS, "${Replica.Arn}"),
        (backfill::ACTIONS, "${Replica.Arn}"),
        (verify::ACTIONS, "${PetTracker.Arn}"),
        (verify::ACTIONS, "${Replica.Arn}"),
        (view::ACTIONS, "${Views.Arn}"),
        (search::ACTIONS, "arn:aws:es:eu-west-1:123456789012:domain/pets/*"),
        (dead_letter::ACTIONS, "${DeadLetters.Arn}"),
    ]
}

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn template(parameters: &[(&str, &str)]) -> Template {
    let parameters = parameters.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let text = fs::read_to_string(top().join("template.yaml")).expect("template.yaml");
    Template::parse_with("template.yaml", &text, &parameters).expect("a template")
}

/// The ready-made functions of the template by their binaries.
fn functions(template: &Template) -> BTreeMap<String, Function> {
    let built = template
        .functions()
        .into_iter()
        .filter(|function| function.build_method.known().is_some_and(|method| method == "rust-cargolambda"));
    built.map(|function| (function.binary.known().expect("BuildProperties: {Binary: ..}").clone(), function)).collect()
}

/// Those that a stream drives.
fn of_streams(template: &Template) -> BTreeMap<String, Function> {
    let mut functions = functions(template);
    functions.remove(BACKFILL).expect("it is a function of the template");
    functions
}

fn mapping(template: &Template, function: &Function) -> Mapping {
    let mut of_function =
        template.mappings().into_iter().filter(|mapping| mapping.function.as_ref() == Some(&function.id));
    let mapping = of_function.next().expect("a mapping");
    assert!(of_function.next().is_none(), "{} has one mapping", function.id);
    mapping
}

/// The functions among the binaries, each with the text of what it shares with others and reads the environment.
fn binaries() -> BTreeMap<String, String> {
    let sources = fs::read_dir(top().join("handlers/src/bin")).expect("binaries");
    let paths = sources.map(|entry| entry.expect("an entry").path());
    let stream = |(_, text): &(String, String)| text.contains("lambda::run");
    let library = fs::read_to_string(top().join("handlers/src/lib.rs")).expect("the library");
    // The functions of the library that a binary calls.
    let shared = |text: &str| -> String {
        let functions = library.split("pub async fn ").skip(1).filter_map(|function| function.split("\n}\n").next());
        functions
            .filter(|function| text.contains(&function[..=function.find(['(', '<']).unwrap_or(0)].replace('<', "(")))
            .collect()
    };
    paths
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("readable");
            (name, format!("{text}{}", shared(&text)))
        })
        .filter(stream)
        .collect()
}

#[test]
fn nothing_is_found_by_our_own_checks() {
    for parameters in [&[][..], &EVERYTHING] {
        let found: Vec<String> = check(&template(parameters)).iter().map(ToString::to_string).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
    let replica = Template::read(top().join("handlers/replica.yaml")).expect("a template");
    assert!(check(&replica).is_empty());
}

#[test]
fn a_function_for_each_binary_and_a_binary_for_each_function() {
    let functions: Vec<String> = functions(&template(&[])).into_keys().collect();
    assert_eq!(functions, binaries().into_keys().collect::<Vec<_>>());
    let mut declared: Vec<&str> = declared().iter().map(|it| it.binary).chain([BACKFILL]).collect();
    declared.sort_unstable();
    assert_eq!(functions, declared);
}

#[test]
fn the_stream_has_the_view_that_the_routers_name() {
    let template = template(&[]);
    let functions = functions(&template);
    for Declared { binary, view, .. } in declared() {
        let table = template.table_of(&mapping(&template, &functions[binary])).expect("a table of the template");
        assert_eq!(table.stream_view.known().map(String::as_str), Some(view), "{binary}");
    }
}

#[test]
fn filters_are_those_of_the_routers() {
    let template = template(&[]);
    let functions = functions(&template);
    for Declared { binary, filters, .. } in declared() {
        let mapping = mapping(&template, &functions[binary]);
        let of_template = mapping.filters.or(Vec::new()).expect("known filters");
        let patterns: Vec<&str> =
            of_template.iter().filter_map(|filter| filter.pattern.known().map(|text| &**text)).collect();
        assert_eq!(patterns, filters, "{binary}");
    }
}

#[test]
fn the_environment_is_what_binaries_read_and_document() {
    let functions = functions(&template(&EVERYTHING));
    for (binary, source) in binaries() {
        let read = quoted(&source, &["setting(\"", "env::var(\""]);
        let mut set: BTreeSet<&str> = functions[&binary].environment.iter().map(|variable| &*variable.name).collect();
        assert!(set.remove("RUST_LOG"), "{binary}: what the toolkit's logs read");
        assert_eq!(set, read, "{binary}");
        let rows = source.lines().filter_map(|line| line.strip_prefix("//! | `")?.split(" | ").next());
        let documented: BTreeSet<&str> =
            rows.flat_map(|names| names.split(['`', ',', ' '])).filter(|it| is_name(it)).collect();
        assert_eq!(documented, read, "{binary}");
    }
}

/// The value of an environment variable that the template knows.
fn variable(function: &Function, name: &str) -> String {
    let variable = function.environment.iter().find(|variable| &*variable.name == name).expect("a variable");
    variable.value.scalar().expect("a known value").text.to_string()
}

/// Lambda takes lines without a level, as metrics are, for INFO: whatever `LogLevel` is, it must not drop them.
#[test]
fn metrics_come_through_at_every_level() {
    for level in ["ERROR", "DEBUG"] {
        for (binary, function) in functions(&template(&[("LogLevel", level)])) {
            let logging = function.properties.get("LoggingConfig").expect("how it logs");
            let passes = logging.get("ApplicationLogLevel").and_then(Node::scalar).expect("a level");
            assert_eq!(&*passes.text, "DEBUG", "{binary}");
            assert_eq!(variable(&function, "RUST_LOG"), level, "{binary}");
        }
    }
}

/// A role of another account writes to a table there, also in the same region.
#[test]
fn a_role_means_another_table() {
    let role = ("ReplicaRoleArn", "arn:aws:iam::123456789012:role/replica");
    for parameters in [vec![role], vec![role, ("ReplicaRegion", "eu-west-1")], vec![("ReplicaRegion", "eu-west-1")]] {
        let template = template(&parameters);
        let functions = functions(&template);
        for binary in ["replicate", BACKFILL] {
            assert_eq!(variable(&functions[binary], "TARGET_TABLE"), "PetTrackerReplica", "{parameters:?}");
        }
        assert_eq!(template.resource("Replica").expect("a table").active, Some(false), "{parameters:?}");
    }
}

/// What stands behind any of the openings, up to the quote or backtick that closes it.
fn quoted<'a>(text: &'a str, openings: &[&str]) -> BTreeSet<&'a str> {
    let behind =
        openings.iter().flat_map(|opening| text.match_indices(opening).map(|(at, found)| &text[at + found.len()..]));
    behind.filter_map(|rest| rest.split(['"', '`']).next()).collect()
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|one| one.is_ascii_uppercase() || one == '_')
}

#[test]
fn failures_are_reported_and_retries_bounded() {
    let template = template(&[]);
    for (binary, function) in of_streams(&template) {
        let mapping = mapping(&template, &function);
        assert_eq!(mapping.reports_failures(), Some(true), "{binary}");
        assert_eq!(mapping.bisect.known(), Some(&true), "{binary}");
        assert_eq!(mapping.starting_position.known().map(String::as_str), Some("TRIM_HORIZON"), "{binary}");
        // The lease of a worker that crashed is over after a minute, which eight deliveries may take.
        assert!(mapping.retries.known().is_some_and(|retries| (10..=1_000).contains(retries)), "{binary}");
        assert!(mapping.record_age.known().is_some_and(|age| (3_600..86_400).contains(age)), "{binary}");
        let destination = mapping.on_failure.as_ref().and_then(Node::reference).map(ToString::to_string);
        assert_eq!(destination.as_deref(), Some("${Failures.Arn}"), "{binary}");
    }
}

/// An action and a resource.
type Permission = (String, String);

fn allowed(function: &Function) -> BTreeSet<Permission> {
    assert!(function.permissions.is_complete, "every statement of {} was read", function.id);
    let statements = function.permissions.statements.iter();
    let pairs = statements.flat_map(|statement| {
        let resources: Vec<String> = statement.resources.iter().map(shown).collect();
        let of_action =
            move |action: &String| resources.iter().map(|it| (action.clone(), it.clone())).collect::<Vec<_>>();
        statement.actions.iter().flat_map(of_action)
    });
    pairs.collect()
}

fn shown(node: &Node) -> String {
    let text = node.scalar().map(|scalar| scalar.text.to_string());
    text.or_else(|| node.reference().map(ToString::to_string)).expect("a resource is named")
}

#[test]
fn permissions_are_what_the_handlers_declare_and_nothing_else() {
    // A signed search server, and the defaults otherwise.
    let search = &EVERYTHING[3..5];
    let functions = functions(&template(search));
    for Declared { binary, permissions, .. } in declared() {
        let function = &functions[binary];
        let own = permissions.iter().flat_map(|(actions, resource)| {
            actions.iter().map(move |action| (action.to_string(), resource.to_string()))
        });
        let logs = format!("${{{}Logs.Arn}}", function.id);
        let of_lambda =
            [("sqs:SendMessage", "${Failures.Arn}"), ("logs:CreateLogStream", &logs), ("logs:PutLogEvents", &logs)];
        let of_lambda = of_lambda.map(|(action, resource)| (action.to_owned(), resource.to_owned()));
        assert_eq!(allowed(function), own.chain(of_lambda).collect::<BTreeSet<_>>(), "{binary}");
    }
}

#[test]
fn a_backfill_may_do_what_its_targets_need_and_nothing_else() {
    let function = &functions(&template(&EVERYTHING[3..5]))[BACKFILL];
    let logs = format!("${{{}Logs.Arn}}", function.id);
    let of_logs = ["logs:CreateLogStream", "logs:PutLogEvents"].map(|action| (action.to_owned(), logs.clone()));
    let own = permissions_of_backfill()
        .into_iter()
        .flat_map(|(actions, resource)| actions.iter().map(move |action| (action.to_string(), resource.to_owned())));
    assert_eq!(allowed(function), own.chain(of_logs).collect::<BTreeSet<_>>());
}

/// The segments are executions that the state machine starts of itself, stops when one of them fails, and redrives.
#[test]
fn the_state_machine_may_run_its_segments_and_redrive_them() {
    let template = template(&[]);
    let role = template.resource("BackfillJobRole").expect("a role");
    let policies = role.properties.get("Policies").expect("policies").elements();
    let statements =
        policies.iter().flat_map(|policy| policy.at(&["PolicyDocument", "Statement"]).expect("statements").elements());
    let pairs = statements.flat_map(|statement| {
        let on = |key| statement.get(key).expect("of a statement").one_or_more();
        on("Action").iter().flat_map(move |action| on("Resource").iter().map(move |it| (shown(action), shown(it))))
    });
    let of_states = |kind: &str| {
        format!(
            "arn:${{AWS::Partition}}:states:${{AWS::Region}}:${{AWS::AccountId}}:{kind}:${{AWS::StackName}}-backfill"
        )
    };
    let (machine, segments) = (of_states("stateMachine"), of_states("execution") + "/*");
    let expected = [
        ("lambda:InvokeFunction", "${Backfill.Arn}".to_owned()),
        ("states:StartExecution", machine),
        ("states:DescribeExecution", segments.clone()),
        ("states:RedriveExecution", segments.clone()),
        ("states:StopExecution", segments),
    ];
    let expected = expected.map(|(action, resource)| (action.to_owned(), resource));
    assert_eq!(pairs.collect::<BTreeSet<_>>(), BTreeSet::from(expected));
}

#[test]
fn no_permission_is_wider_than_a_resource() {
    for parameters in [&[][..], &EVERYTHING] {
        for function in template(parameters).functions() {
            for (action, resource) in allowed(&function) {
                assert!(!action.contains('*'), "{}: {action}", function.id);
                let named = resource.trim_end_matches('*').trim_end_matches("/stream/").trim_end_matches('/');
                assert!(
                    named.ends_with(|end: char| end.is_alphanumeric() || end == '}'),
                    "{}: {resource}",
                    function.id
                );
                assert!(!named.contains('*'), "{}: {resource}", function.id);
            }
        }
    }
}

#[test]
fn tables_have_the_keys_and_the_time_to_live_that_the_code_expects() {
    let tables: BTreeMap<String, _> =
        template(&[]).tables().into_iter().map(|table| (table.id.to_string(), table)).collect();
    let keys = |id: &str| tables[id].keys.iter().map(|key| key.name.clone()).collect::<Vec<_>>();
    let time_to_live = |id: &str| tables[id].time_to_live.known().cloned();
    for id in ["PetTracker", "Replica", "Views"] {
        assert_eq!(keys(id), ["PK", "SK"], "{id}");
    }
    assert_eq!(keys("Leases"), ["id"]);
    assert_eq!(time_to_live("PetTracker").as_deref(), Some(PET_TRACKER_TTL));
    assert_eq!(time_to_live("Leases").as_deref(), Some("expiresAt"));
    assert_eq!(time_to_live("Views").as_deref(), Some("anabranchExpires"));
    assert_eq!(time_to_live("Replica"), None);
}

/// `cargo lambda deploy` makes functions as the template does.
#[test]
fn the_metadata_of_cargo_lambda_say_the_same() {
    let manifest = fs::read_to_string(top().join("handlers/Cargo.toml")).expect("a manifest");
    let manifest: toml::Table = toml::from_str(&manifest).expect("TOML");
    let metadata = &manifest["package"]["metadata"]["lambda"]["bin"];
    let template = template(&[]);
    let functions = functions(&template);
    assert_eq!(metadata.as_table().expect("a table").len(), functions.len());
    for (binary, function) in functions {
        let deploy = &metadata[&binary]["deploy"];
        assert_eq!(deploy["memory"].as_integer(), function.memory.known().copied(), "{binary}");
        assert_eq!(deploy["timeout"].as_integer(), function.timeout.known().copied(), "{binary}");
        assert_eq!(deploy["runtime"].as_str(), function.runtime.known().map(String::as_str), "{binary}");
        // Of its tracing the template says nothing, which is that; its architecture is a parameter, or that of the build.
        assert!(function.properties.get("Tracing").is_none());
        assert_eq!(deploy["tracing"].as_str(), Some("passthrough"), "{binary}");
        let logs = template.resource(&format!("{}Logs", function.id)).expect("a log group");
        let retention = logs.properties.get("RetentionInDays").and_then(Node::scalar).expect("a number of days");
        assert_eq!(deploy["log_retention"].as_integer().expect("days").to_string(), *retention.text, "{binary}");
        let level = variable(&function, "RUST_LOG").to_lowercase();
        assert_eq!(metadata[&binary]["env"]["RUST_LOG"].as_str(), Some(&*level), "{binary}");
    }
}

fn page() -> String {
    fs::read_to_string(top().join("src/docs/deploy.md")).expect("the page")
}

#[test]
fn the_page_has_the_values_of_the_mappings() {
    let (template, page) = (template(&[]), page());
    for (binary, function) in of_streams(&template) {
        let mapping = mapping(&template, &function);
        let known = |setting: &Setting<i64>| *setting.known().expect("a number");
        let row = format!(
            "| `{binary}` | {} | {} s | {} | {} | {} s | ",
            known(&mapping.batch_size),
            known(&mapping.window),
            known(&mapping.parallelization),
            known(&mapping.retries),
            known(&mapping.record_age),
        );
        assert!(page.contains(&row), "src/docs/deploy.md lacks: {row}");
    }
}

#[test]
fn the_page_has_every_action() {
    let (page, declared) = (page(), declared());
    for (actions, _) in declared.iter().flat_map(|it| &it.permissions) {
        let shown: Vec<String> = actions.iter().map(|action| format!("`{action}`")).collect();
        assert!(page.contains(&format!("| {} |", shown.join(", "))), "src/docs/deploy.md lacks: {}", shown.join(", "));
    }
}

/// The calls of `cargo lambda deploy` set what a binary cannot do without, and nothing that it does not read.
#[test]
fn the_page_sets_the_environment_that_binaries_need() {
    let page = page().replace("\\\n", " ");
    for (binary, source) in binaries() {
        let start = format!("cargo lambda deploy {binary} ");
        let call = page.lines().find(|line| line.starts_with(&start)).expect("a call");
        let set: BTreeSet<&str> = call.split("--env-var ").skip(1).filter_map(|it| it.split('=').next()).collect();
        let read = quoted(&source, &["setting(\"", "env::var(\""]);
        assert!(set.is_subset(&read), "{binary}: {set:?} {read:?}");
        let needed =
            source.split("setting(\"").skip(1).filter_map(|rest| rest.split_once("\")?").map(|(name, _)| name));
        let needed: BTreeSet<&str> = needed.filter(|name| is_name(name)).collect();
        assert!(!needed.is_empty() && needed.is_subset(&set), "{binary}: {set:?} {needed:?}");
    }
}

/// Every parameter has a description and a constraint, and the page names it.
#[test]
fn parameters_are_described() {
    let text = fs::read_to_string(top().join("template.yaml")).expect("template.yaml");
    let section = text.split("\nParameters:\n").nth(1).and_then(|rest| rest.split("\nConditions:\n").next());
    let page = page();
    let mut name = "";
    let mut seen: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in section.expect("parameters").lines().filter(|line| !line.trim_start().starts_with('#')) {
        let (key, indent) = (line.trim().split(':').next().unwrap_or_default(), line.len() - line.trim_start().len());
        match indent {
            2 => name = key,
            4 => _ = seen.entry(name).or_default().insert(key),
            _ => {}
        }
    }
    assert!(seen.len() > 10);
    for (name, keys) in seen {
        assert!(keys.contains("Description"), "{name}");
        assert!(["AllowedValues", "AllowedPattern", "MinValue"].iter().any(|key| keys.contains(key)), "{name}");
        assert!(page.contains(&format!("`{name}`")), "src/docs/deploy.md lacks {name}");
    }
}

/// Whoever is woken by an alarm finds what to do, and no word of alarms that are not there.
#[test]
fn operators_are_told_of_every_alarm() {
    let template = template(&[]);
    let resources = template.resources().iter();
    let alarms: BTreeSet<&str> =
        resources.filter(|it| &*it.kind == "AWS::CloudWatch::Alarm").map(|it| &*it.id).collect();
    let page = fs::read_to_string(top().join("src/docs/operate.md")).expect("the page");
    let table = page.split("| Alarm of `template.yaml` |").nth(1).and_then(|rest| rest.split("\n\n").next());
    let rows = table.expect("the table").lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(rows.collect::<BTreeSet<_>>(), alarms);
    assert!(alarms.len() > 5);
}
