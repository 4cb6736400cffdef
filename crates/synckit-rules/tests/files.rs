//! Rule files, right and wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    path::Path,
    sync::{Arc, Mutex, mpsc},
};

use serde_json::{Value, json};
use synckit_resolve::{ConflictResolver as _, LastWriteWins, Spec};
use synckit_rules::{
    Cases, MAX_FILE_BYTES, Problem, ReloadableRules, RuleFileError, RuleLoader, Rules, RulesListener, SCHEMA,
};

fn parse(text: &str) -> Result<Rules, RuleFileError> {
    RuleLoader::new().parse("r.yaml", text.as_bytes())
}

/// The file with this in place of the only rule.
fn with_rule(rule: &str) -> String {
    format!("version: 1\nname: n\nrules:\n  - {rule}\n")
}

/// The first line of what is wrong.
#[track_caller]
fn wrong(text: &str) -> String {
    match parse(text) {
        Ok(rules) => panic!("it was taken: {:?}", rules.file()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn mistakes_are_named_with_their_places() {
    let rule = |rest: &str| with_rule(&format!("{{name: a, {rest}}}"));
    let always = "conditions: {always: true}";
    let mut missed = Vec::new();
    for (text, place, words) in [
        ("version: 1\nname: n\nruels: []\n".to_owned(), "3:1", "unknown field `ruels`"),
        (with_rule("{}"), "4:5", "missing field `name`"),
        (with_rule("name: a"), "4:5", "missing field `conditions`"),
        (rule("conditions: {}, resolution: lww"), "4:27", "there is no condition"),
        (rule("conditions: {always: false}, resolution: lww"), "4:36", "expected `always: true`"),
        (rule("conditions: {always: true, fields: [a]}, resolution: lww"), "4:36", "alone"),
        (rule("conditions: {event_types: []}, resolution: lww"), "4:41", "an empty list is never met"),
        (rule("conditions: {event_types: a}, resolution: lww"), "4:41", "expected sequence"),
        (rule("conditions: {evnt_types: [a]}, resolution: lww"), "4:28", "unknown field `evnt_types`"),
        (rule("conditions: {aggregate_ids: ['[']}, resolution: lww"), "4:44", "["),
        (rule("conditions: {aggregate_regex: ['(']}, resolution: lww"), "4:46", "regular expression"),
        (rule("conditions: {aggregate_regex: ['(a{1000}){1000}']}, resolution: lww"), "4:46", "size limit"),
        (rule("conditions: {origins: [x]}, resolution: lww"), "4:38", "not the id of a node"),
        (rule("conditions: {relation: far}, resolution: lww"), "4:38", "expected forked or independent"),
        (rule("conditions: {data: [{field: a}]}, resolution: lww"), "4:35", "expected one of exists"),
        (
            rule("conditions: {data: [{field: a, at_most: [1]}]}, resolution: lww"),
            "4:35",
            "a number or a text",
        ),
        (
            rule("conditions: {data: [{field: a, equals: [18446744073709551616]}]}, resolution: lww"),
            "4:35",
            "held exactly",
        ),
        (rule("conditions: {metadata: {a: 1e30}}, resolution: lww"), "4:38", "held exactly"),
        (rule("conditions: {custom_match: {no_such: 1}}, resolution: lww"), "4:52", "no matcher \"no_such\""),
        (
            rule(&format!("{always}, resolution: best")),
            "4:55",
            "unknown strategy \"best\"; expected one of last_write_wins",
        ),
        (rule(&format!("{always}, resolution: {{strategy: best}}")), "4:66", "unknown strategy \"best\""),
        (rule(&format!("{always}, resolution: [lww]")), "4:43", "the name of a strategy"),
        (
            rule(&format!("{always}, resolution: {{strategy: lww, options: {{by: moon}}}}")),
            "4:85",
            "clock or event_time",
        ),
        (
            rule(&format!("{always}, resolution: {{strategy: lww, options: {{bye: 1}}}}")),
            "4:86",
            "no option \"bye\"; expected one of by",
        ),
        (
            rule(&format!("{always}, resolution: {{strategy: keep_both, options: {{x: 1}}}}")),
            "4:90",
            "it has none",
        ),
        (rule(&format!("{always}, resolution: maximum")), "4:55", "needs the option field"),
        (rule(&format!("{always}, resolution: priority")), "4:55", "either origins or metadata"),
        (rule(&format!("{always}, resolution: lww, priority: high")), "4:70", "expected a whole number"),
        (rule(&format!("{always}, resolution: lww, feature: x")), "4:69", "no feature \"x\""),
        ("version: 2\nname: n\n".to_owned(), "1:10", "expected the version 1"),
        ("version: 1\nname: ''\nsettings: {default_fallback: lww}\n".to_owned(), "2:7", "expected a name"),
        ("version: 1\nname: n\n".to_owned(), "1:1", "neither a rule nor a fallback"),
        (
            "version: 1\nname: n\ngroups: [{name: g}]\n".to_owned(),
            "3:10",
            "expected rules, subgroups or a fallback",
        ),
        (
            "version: 1\nname: n\nsettings: {timeouts: {resolution_timeout_ms: 0}}\n".to_owned(),
            "3:46",
            "above 0",
        ),
        (
            "version: 1\nname: n\nsettings: {timeouts: {resolution_timeout_ms: soon}}\n".to_owned(),
            "3:46",
            "expected a whole number",
        ),
        ("version: 1\nname: n\nname: m\n".to_owned(), "3:1", "duplicate"),
        ("version: 1\nname: [\n".to_owned(), "2:7", "expected string"),
    ] {
        let told = wrong(&text);
        let begin = format!("r.yaml:{place}: ");
        if !(told.starts_with(&begin) && told.contains(words)) {
            missed.push(format!("{text}\n{told}\nexpected {begin}{words}\n"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.concat());
}

#[test]
fn all_mistakes_are_told_at_once_in_their_order() {
    let nested = "version: 1
name: n
groups:
  - name: outer
    rules:
      - { name: a, conditions: { always: true }, resolution: lww }
      - { name: a, conditions: { always: true }, resolution: nope }
    subgroups:
      - name: inner
        rules:
          - { name: a, conditions: { fields: [] }, resolution: lww }
      - name: inner
        fallback: lww
";
    let told = wrong(nested);
    let places: Vec<&str> = told.lines().map(|l| l.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["r.yaml:7:17", "r.yaml:7:62", "r.yaml:11:46", "r.yaml:12:15"], "{told}");
    assert!(told.contains("another rule with the name \"a\"") && told.contains("another group"), "{told}");
}

#[test]
fn json_is_told_its_places_as_well() {
    let json = "{\n \"version\": \"1.0\",\n \"name\": \"n\",\n \"rules\": [\n  {\"name\": \"a\", \"conditions\": {\"fields\": [\"x\"]}, \"resolution\": {\"strategy\": \"nope\"}}\n ]\n}\n";
    let told = RuleLoader::new().parse("r.json", json.as_bytes()).unwrap_err().to_string();
    assert!(told.starts_with("r.json:5:77: unknown strategy"), "{told}");
    let unknown = json.replace("\"fields\"", "\"feilds\"");
    let told = RuleLoader::new().parse("r.json", unknown.as_bytes()).unwrap_err().to_string();
    assert!(told.starts_with("r.json:5:32: unknown field `feilds`"), "{told}");
    let right = json.replace("nope", "LWW").replace('\n', "\r\n\t");
    assert_eq!(RuleLoader::new().parse("r.json", right.as_bytes()).unwrap().resolver().rules().count(), 1);
}

#[test]
fn numbers_that_can_be_held_are_taken() {
    for number in ["18446744073709551615", "-9223372036854775808", "9007199254740993", "0.1", "-1.5e10"] {
        parse(&with_rule(&format!(
            "{{name: a, conditions: {{data: [{{field: a, at_least: {number}}}]}}, resolution: lww}}"
        )))
        .unwrap_or_else(|e| panic!("{number}: {e}"));
    }
}

#[test]
fn large_files_and_bytes_that_are_no_text_are_refused() {
    let told = RuleLoader::new().parse("big", &vec![b' '; MAX_FILE_BYTES + 1]).unwrap_err().to_string();
    assert!(told.starts_with("big:1:1: the file has 1048577 bytes; expected at most"), "{told}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.yaml");
    std::fs::write(&path, vec![b'#'; 10 << 20]).unwrap();
    assert!(RuleLoader::new().load(&path).unwrap_err().to_string().contains("10485760 bytes"));
    let told = RuleLoader::new().parse("bin", b"version: 1\nname: \xc3\xa9\xff\n").unwrap_err().to_string();
    assert_eq!(told, "bin:2:8: the file is not UTF-8 text here");
    let missing = RuleLoader::new().load(folder.path().join("none.yaml")).unwrap_err();
    assert!(matches!(missing, RuleFileError::Unreadable { .. }) && missing.problems().is_empty());
    // Aliases that blow up are stopped by the parser's budget.
    let mut bomb = String::from("a0: &a0 [x]\n");
    for i in 1..30 {
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(","));
    }
    assert!(parse(&bomb).is_err());
    let deep = with_rule(&format!(
        "{{name: a, conditions: {}{{always: true}}{}, resolution: lww}}",
        "{not: ".repeat(200),
        "}".repeat(200)
    ));
    assert!(parse(&deep).is_err());
}

#[test]
fn nothing_in_a_file_is_expanded() {
    let text = with_rule("{name: a, conditions: {aggregate_ids: ['${HOME}', '$HOME']}, resolution: lww}");
    let rules = parse(&text).unwrap();
    let spec = rules.resolver().rules().next().unwrap().rule.spec().to_string();
    assert!(spec.contains("${HOME}") && spec.contains("$HOME"), "{spec}");
}

#[test]
fn short_words_are_words_and_not_booleans() {
    let text = with_rule(
        "{name: no, conditions: {data: [{field: n, equals: no}]}, resolution: {strategy: maximum, options: {field: y}}}",
    );
    let rules = parse(&text).unwrap();
    let spec = rules.resolver().rules().next().unwrap().rule.spec().to_string();
    assert_eq!(spec, "data /n = \"no\"");
}

#[test]
fn settings_priorities_features_and_groups_are_honoured() {
    let rules = parse(
        "version: '1.3'
name: n
settings:
  default_fallback: { strategy: manual_review, options: { reason: nobody knows } }
  timeouts: { resolution_timeout_ms: 1500, manual_review_timeout_ms: 60000 }
  limits: { max_conflicts_per_batch: 7, max_rules_per_group: 2 }
  features: { on: true, off: false }
rules:
  - { name: low, conditions: { fields: [a] }, resolution: lww }
  - { name: high, priority: 3, feature: off, conditions: { fields: [a] }, resolution: fww }
groups:
  - name: g
    feature: on
    rules: [{ name: r, enabled: false, conditions: { fields: [a] }, resolution: Merge }]
    subgroups: [{ name: s, enabled: false, fallback: lww, rules: [] }]
",
    )
    .unwrap();
    let resolver = rules.resolver();
    let limits = resolver.limits();
    assert_eq!(
        (limits.answer.unwrap().as_millis(), limits.review.unwrap().as_secs(), limits.batch),
        (1500, 60, Some(7))
    );
    let all: Vec<_> =
        resolver.rules().map(|r| (r.path, r.rule.is_enabled(), r.rule.resolver().name())).collect();
    let expected = [
        ("high", false, "first_write_wins"),
        ("low", true, "last_write_wins"),
        ("g.r", false, "additive_merge"),
    ];
    assert_eq!(all, expected);
    let groups: Vec<_> = resolver.stats().into_iter().map(|g| (g.name, g.enabled)).collect();
    assert_eq!(groups, [("g".to_owned(), true), ("g.s".to_owned(), false)]);
    let many = "version: 1\nname: n\nsettings: {limits: {max_rules_per_group: 1}}\ngroups:\n  - name: g\n    rules:\n".to_owned()
        + &["a", "b"].map(|n| format!("      - {{name: {n}, conditions: {{fields: [a]}}, resolution: lww}}\n")).concat();
    assert!(
        wrong(&many).starts_with("r.yaml:5:5: the group has 2 rules; max_rules_per_group is 1"),
        "{}",
        wrong(&many)
    );
}

#[test]
fn programs_add_matchers_strategies_transforms_and_validators() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let loader = RuleLoader::new()
        .matcher("at", move |hour, context| {
            told.lock().unwrap().push((
                hour.clone(),
                context.custom["zone"].clone(),
                context.features["dst"],
            ));
            if hour.is_u64() { Ok(Spec::custom("at", |_| true)) } else { Err("expected an hour".into()) }
        })
        .strategy("house", |options, _| match options.get("wins") {
            Some(Value::Bool(true)) => Ok(Arc::new(LastWriteWins::default())),
            _ => Err("house needs wins: true".into()),
        })
        .transform(|file| {
            file.name.value = file.name.to_uppercase();
            Ok(())
        })
        .validator(|file| {
            if file.name.value == "BAD" { Err(Problem::at(file.name.place, "a bad name")) } else { Ok(()) }
        });
    let file = |name: &str, hour: &str, wins: &str| {
        format!(
            "version: 1\nname: {name}\nsettings: {{custom: {{zone: utc}}, features: {{dst: true}}}}\nrules:\n  - {{name: a, conditions: {{custom_match: {{at: {hour}}}}}, resolution: {{strategy: house, options: {{wins: {wins}}}}}}}\n"
        )
    };
    let rules = loader.parse("f", file("good", "7", "true").as_bytes()).unwrap();
    assert_eq!(*rules.file().name, "GOOD");
    assert_eq!(seen.lock().unwrap()[0], (json!(7), "utc".to_owned(), true));
    let wrong =
        |name, hour, wins| loader.parse("f", file(name, hour, wins).as_bytes()).unwrap_err().to_string();
    assert_eq!(wrong("bad", "7", "true"), "f:2:7: a bad name");
    assert_eq!(wrong("good", "noon", "true"), "f:5:47: expected an hour");
    assert!(wrong("good", "7", "false").contains("house needs wins: true"));
}

struct Told(Mutex<mpsc::Sender<Result<String, String>>>);

impl RulesListener for Told {
    fn on_changed(&self, rules: &Rules) {
        let _ = self.0.lock().unwrap().send(Ok(rules.file().name.value.clone()));
    }

    fn on_error(&self, error: &RuleFileError) {
        let _ = self.0.lock().unwrap().send(Err(error.to_string()));
    }
}

#[test]
fn a_watched_file_is_read_again_and_old_rules_stay_when_it_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yaml");
    let named = |name: &str| format!("version: 1\nname: {name}\nsettings: {{default_fallback: lww}}\n");
    std::fs::write(&path, named("first")).unwrap();
    let (sender, told) = mpsc::channel();
    let listener = Arc::new(Told(Mutex::new(sender)));
    let rules = ReloadableRules::load_told(RuleLoader::new(), &path, vec![listener]).unwrap();
    let watching = rules.watch().unwrap();
    let replace = |text: &str| {
        let new = folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, &path).unwrap();
    };
    let until = |wanted: &dyn Fn(&Result<String, String>) -> bool| loop {
        let next = told.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
        if wanted(&next) {
            break next;
        }
    };
    replace(&named("second"));
    until(&|t| t == &Ok("second".into())).unwrap();
    assert_eq!(*rules.rules().file().name, "second");
    replace("version: 1\nname: third\nruels: []\n");
    let error = until(&Result::is_err).unwrap_err();
    assert!(error.contains("rules.yaml:3:1: unknown field `ruels`"), "{error}");
    assert_eq!(*rules.rules().file().name, "second");
    replace(&named("fourth"));
    until(&|t| t == &Ok("fourth".into())).unwrap();
    drop(watching);
    assert_eq!((rules.name(), rules.path()), ("rules", path.as_path()));
}

/// As configuration that a cluster mounts: the file is behind a link to a folder, and the link is replaced.
#[cfg(unix)]
#[test]
fn a_file_behind_a_link_that_comes_to_lead_elsewhere_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let version = |name: &str| {
        std::fs::create_dir(at(name)).unwrap();
        let text = format!("version: 1\nname: {name}\nsettings: {{default_fallback: lww}}\n");
        std::fs::write(at(name).join("rules.yaml"), text).unwrap();
        std::os::unix::fs::symlink(name, at("fresh")).unwrap();
        std::fs::rename(at("fresh"), at("data")).unwrap();
    };
    version("first");
    std::os::unix::fs::symlink("data/rules.yaml", at("rules.yaml")).unwrap();
    let (sender, told) = mpsc::channel();
    let listener = Arc::new(Told(Mutex::new(sender)));
    let rules = ReloadableRules::load_told(RuleLoader::new(), at("rules.yaml"), vec![listener]).unwrap();
    let _watching = rules.watch().unwrap();
    for name in ["second", "third"] {
        version(name);
        while told.recv_timeout(std::time::Duration::from_secs(60)).unwrap() != Ok(name.to_owned()) {}
    }
    assert_eq!(*rules.rules().file().name, "third");
    std::fs::write(at("third/rules.yaml"), "version: 1\nname: fourth\nsettings: {default_fallback: lww}\n")
        .unwrap();
    while told.recv_timeout(std::time::Duration::from_secs(60)).unwrap() != Ok("fourth".to_owned()) {}
}

/// The code blocks of the documentation whose first line is "```" and this.
fn blocks(language: &str) -> Vec<String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/conflicts.md");
    let text = std::fs::read_to_string(docs).unwrap();
    let begin = format!("```{language}\n");
    text.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_cookbook_is_right() {
    let recipes = blocks("yaml");
    assert_eq!(recipes.len(), 10);
    for recipe in recipes {
        parse(&recipe).unwrap_or_else(|e| panic!("{e}\n{recipe}"));
    }
    let (rules, cases) = (blocks("yaml cases-rules"), blocks("yaml cases"));
    let cases = Cases::parse("cases", cases[0].as_bytes()).unwrap();
    for result in cases.run(&parse(&rules[0]).unwrap()).await {
        assert!(result.failures.is_empty(), "{result}");
    }
}

#[tokio::test]
async fn cases_say_what_was_expected_and_what_came() {
    let rules = parse(&with_rule("{name: a, conditions: {fields: [gate]}, resolution: lww}")).unwrap();
    let cases = "cases:
  - name: passes
    aggregate: x
    sides:
      - [{ type: t, data: { gate: 1 }, at: 5 }]
      - [{ type: t, data: { gate: 2 }, at: 3 }]
    expect: { rule: a, strategy: last_write_wins, outcome: keep, sides: [1], data: { gate: 1 } }
  - name: fails
    aggregate: x
    sides:
      - [{ type: t, data: { crew: 1 } }]
      - [{ type: t, data: { crew: 2 } }]
    expect: { rule: a, outcome: keep, sides: [2], data: { crew: 2 } }
";
    let results = Cases::parse("c", cases.as_bytes()).unwrap().run(&rules).await;
    assert!(results[0].failures.is_empty(), "{}", results[0]);
    assert_eq!((results[1].name.as_str(), results[1].place.line, results[1].failures.len()), ("fails", 8, 4));
    assert_eq!(results[1].failures[0], "expected the rule \"a\", found \"\"");
    for (from, to, words) in [
        ("at: 5", "at: -5", "c:5:"),
        ("type: t, data: { gate: 2 }, at: 3", "type: '', data: 1", "c:6:10: "),
        ("      - [{ type: t, data: { gate: 2 }, at: 3 }]\n", "", "c:2:5: expected at least two sides"),
        ("[{ type: t, data: { gate: 2 }, at: 3 }]", "[]", "c:6:9: expected at least one event"),
    ] {
        let told = Cases::parse("c", cases.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
        assert!(told.starts_with(words), "{to}: {told}");
    }
}

/// All keys that the schema allows in the objects of a definition.
fn keys(schema: &Value, definition: &str) -> Vec<String> {
    let object = if definition.is_empty() { schema } else { &schema["$defs"][definition] };
    object["properties"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn the_schema_knows_the_keys_that_files_may_have_and_no_others() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let empty = |key: &str| format!("'{key}': ~");
    for (definition, file) in [
        ("", "{KEYS}".to_owned()),
        ("settings", "{version: 1, name: n, settings: {KEYS}}".to_owned()),
        ("group", "{version: 1, name: n, groups: [{KEYS}]}".to_owned()),
        ("rule", "{version: 1, name: n, rules: [{KEYS}]}".to_owned()),
        (
            "conditions",
            "{version: 1, name: n, rules: [{name: a, resolution: lww, conditions: {KEYS}}]}".to_owned(),
        ),
        (
            "data_test",
            "{version: 1, name: n, rules: [{name: a, resolution: lww, conditions: {data: [{KEYS}]}}]}"
                .to_owned(),
        ),
    ] {
        // An unknown key is told before all else, together with those that are known.
        let told = wrong(&file.replace("KEYS", &empty("no_such_key")));
        let mut known: Vec<&str> =
            told.split("expected one of ").nth(1).unwrap().trim().split(", ").collect();
        known.sort_unstable();
        let mut allowed = keys(&schema, definition);
        allowed.sort_unstable();
        assert_eq!(known, allowed, "{definition}: {told}");
    }
    let strategies = &schema["$defs"]["resolution"]["anyOf"][0]["examples"];
    let told = wrong(&with_rule("{name: a, conditions: {always: true}, resolution: no_such}"));
    let known: Vec<&str> = told.split("expected one of ").nth(1).unwrap().trim().split(", ").collect();
    assert_eq!(json!(known), *strategies);
}

#[test]
fn a_key_without_a_value_takes_no_condition_away() {
    for empty in ["only_fields:", "not: ~", "data: ~", "metadata: null", "all_of:"] {
        let rule = format!("{{name: a, conditions: {{event_types: [a], {empty} }}, resolution: lww}}");
        let told = wrong(&with_rule(&rule));
        assert!(told.starts_with("r.yaml:4:"), "{empty}: {told}");
    }
    assert!(parse("version: 1\nname: n\nsettings: {default_fallback: }\n").is_err());
    let nothing = with_rule("{name: a, conditions: {data: [{field: x, equals: null}]}, resolution: lww}");
    let spec = parse(&nothing).unwrap().resolver().rules().next().unwrap().rule.spec().to_string();
    assert_eq!(spec, "data /x = null");
    let flight = with_rule("{name: a, conditions: {metadata: {flight: 007}}, resolution: lww}");
    let spec = parse(&flight).unwrap().resolver().rules().next().unwrap().rule.spec().to_string();
    assert_eq!(spec, "metadata flight = \"007\"");
}
