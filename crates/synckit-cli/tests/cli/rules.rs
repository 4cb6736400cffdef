//! Rule files, and who decided what.

use serde_json::{Value, json};

use crate::support::Bench;

const RULES: &str = "version: 1
name: shop
settings:
  default_fallback: last_write_wins
groups:
  - name: orders
    rules:
      - name: money
        priority: 1
        conditions: { fields: [paid] }
        resolution: { strategy: manual_review, options: { reason: it is about money } }
      - name: merge
        conditions: { aggregate_ids: [\"order-*\"] }
        resolution: three_way_merge
";

fn write(bench: &Bench, name: &str, text: &str) {
    std::fs::write(bench.dir.path().join(name), text).unwrap();
}

#[test]
fn a_rule_file_is_checked_with_places_in_yaml_and_json() {
    let bench = Bench::new();
    write(&bench, "rules.yaml", RULES);
    let said = bench.run(&["rules", "check", "rules.yaml"]).ok().stdout;
    assert!(said.contains("orders.money: if field /paid changed, manual_review"), "{said}");
    let rows = bench.run(&["rules", "check", "rules.yaml", "--json"]).ok().json();
    assert_eq!(rows["rules"][1]["rule"], "orders.merge");

    write(&bench, "wrong.yaml", &RULES.replace("three_way_merge", "best_guess").replace("[paid]", "[]"));
    let ran = bench.run(&["rules", "check", "wrong.yaml"]);
    assert_eq!(ran.status, Some(1));
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    assert!(lines[0].starts_with("wrong.yaml:10:31: expected at least one element"), "{ran:?}");
    assert!(lines[1].starts_with("wrong.yaml:14:21: unknown strategy \"best_guess\""), "{ran:?}");
    write(&bench, "wrong.json", "{\"version\": 1,\n \"nam\": \"x\"}");
    let ran = bench.run(&["rules", "check", "wrong.json"]);
    assert!(ran.stderr.starts_with("wrong.json:2:2: unknown field `nam`"), "{ran:?}");
    bench.run(&["rules", "check", "missing.yaml"]).failed(1, &["missing.yaml"]);
    bench.run(&["rules", "schema"]).ok().json();

    let bench = Bench::with(&["a"]);
    write(&bench, "wrong.yaml", "version: 3\nname: x\nrules: [{}]\n");
    let args =
        ["sync", "--store", "sqlite:a.db", "--remote", "http://127.0.0.1:9/sync", "--rules", "wrong.yaml"];
    bench.run(&args).failed(1, &["wrong.yaml:3:9: missing field `name`"]);
}

#[test]
fn cases_are_compared_with_what_rules_decide() {
    let bench = Bench::new();
    write(&bench, "rules.yaml", RULES);
    let cases = "cases:
  - name: two fields
    aggregate: order-1
    common: [{ type: placed, data: { tea: 1, cake: 1 } }]
    sides:
      - [{ type: changed, data: { tea: 2, cake: 1 } }]
      - [{ type: changed, data: { tea: 1, cake: 3 } }]
    expect: { rule: orders.merge, strategy: three_way_merge, outcome: merge, sides: [1, 2], data: { tea: 2, cake: 3 } }
";
    write(&bench, "cases.yaml", cases);
    let said = bench.run(&["rules", "test", "rules.yaml", "cases.yaml"]).ok().stdout;
    assert_eq!(said, "ok   two fields\n1 case, 0 failed\n");
    write(
        &bench,
        "cases.yaml",
        &cases
            .replace("cake: 3 } }\n    expect", "cake: 4 } }\n    expect")
            .replacen("cake: 3", "cake: 5", 1),
    );
    let ran = bench.run(&["rules", "test", "rules.yaml", "cases.yaml"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stdout.contains("FAIL two fields") && ran.stdout.contains("expected the data"), "{ran:?}");
}

#[test]
fn decisions_by_rules_are_explained_audited_and_taken_back() {
    let bench = Bench::with(&["a", "b"]);
    let hub = bench.serve("hub");
    write(&bench, "rules.yaml", RULES);
    bench.append("a", "placed", "order-1", "{\"tea\":1,\"cake\":1}");
    bench.sync("a", &hub.url, &[]);
    bench.sync("b", &hub.url, &[]);
    bench.append("a", "tea", "order-1", "{\"tea\":2,\"cake\":1}");
    bench.append("b", "cake", "order-1", "{\"tea\":1,\"cake\":3}");
    bench.append("a", "due", "order-2", "{\"paid\":false}");
    bench.append("b", "paid", "order-2", "{\"paid\":true}");
    bench.sync("a", &hub.url, &["--rules", "rules.yaml"]);
    let report = bench.sync("b", &hub.url, &["--rules", "rules.yaml"]);
    assert_eq!(report["conflicts"], json!({"found": 2, "resolved": 1, "review": 1, "overdue": 0}));

    let store = ["--store", "sqlite:b.db"];
    let run = |args: &[&str]| bench.run(&[args, &store[..]].concat()).ok();
    let decisions = run(&["audit", "--json"]).ndjson();
    assert_eq!(decisions.len(), 1);
    let decision = &decisions[0]["decision"];
    assert_eq!(
        (&decision["rule"], &decision["group"], &decision["resolver"], &decision["merged"][0]["data"]),
        (&json!("orders.merge"), &json!("orders"), &json!("three_way_merge"), &json!({"cake": 3, "tea": 2}))
    );
    let conflict = decision["conflict"].as_str().unwrap();
    for (filter, found) in [
        (["--rule", "orders.merge"], 1),
        (["--group", "orders"], 1),
        (["--group", "order"], 0),
        (["--resolver", "person"], 0),
        (["--aggregate", "order-2"], 0),
        (["--from", "2100-01-01T00:00:00Z"], 0),
        (["--to", "2100-01-01T00:00:00Z"], 1),
    ] {
        let args = [&["audit", "--json"], &filter[..]].concat();
        assert_eq!(run(&args).ndjson().len(), found, "{filter:?}");
        let args = [&args[..], &["--index", "sqlite:audit.db"]].concat();
        assert_eq!(run(&args).ndjson().len(), found, "{filter:?} by an index");
    }
    let by_index = run(&["audit", "--json", "--index", "sqlite:audit.db"]);
    assert_eq!((by_index.ndjson(), by_index.stderr.as_str()), (decisions.clone(), ""));
    let verified = run(&["audit", "--index", "sqlite:audit.db", "--verify", "--json"]).json();
    assert_eq!(verified, json!({"decisions": 1, "differences": 0, "first": []}));
    let other =
        bench.run(&["audit", "--index", "sqlite:audit.db", "--verify", "--store", "sqlite:a.db", "--json"]);
    other.failed(1, &["the index was made from another log"]);
    let anew = bench.run(&["audit", "--index", "sqlite:audit.db", "--store", "sqlite:a.db"]).ok();
    assert!(anew.stderr.contains("the index was made anew"), "{anew:?}");
    let anew = run(&["audit", "--index", "sqlite:audit.db", "--rebuild", "--json"]);
    assert_eq!((anew.ndjson(), anew.stderr.as_str()), (decisions.clone(), ""));
    bench.run(&["audit", "--verify", "--store", "sqlite:a.db"]).failed(2, &["--index"]);
    bench.run(&["audit", "--index", "redis:x", "--store", "sqlite:a.db"]).failed(1, &["known schemes are"]);
    let said = run(&["audit"]).stdout;
    assert!(
        said.contains("order-1  merge by three_way_merge, rule orders.merge")
            && said.ends_with("1 decision\n"),
        "{said}"
    );

    let explained = run(&["rules", "explain", "rules.yaml", "--conflict", conflict]).stdout;
    assert!(explained.contains("no  field /paid changed"), "{explained}");
    assert!(explained.ends_with("the rule orders.merge decides: three_way_merge\n"), "{explained}");

    let shown = run(&["conflicts", "show", conflict, "--json"]).json();
    let cake = json!({"field": "/cake", "common": 1, "sides": [3, 1]});
    assert_eq!(shown["differences"][0], cake, "{shown}");
    let shown = run(&["conflicts", "show", conflict, "--color", "always"]).stdout;
    assert!(
        shown.contains("- \u{1b}[31m1\u{1b}[0m") && shown.contains("+ \u{1b}[32m3\u{1b}[0m"),
        "{shown:?}"
    );

    let review = run(&["conflicts", "list", "--json"]).ndjson();
    assert_eq!(review[0]["reasons"], json!(["it is about money (rule orders.money)"]));

    let counting = || -> Vec<Value> {
        run(&["log", "--effective", "--json", "--aggregate", "order-1"])
            .ndjson()
            .into_iter()
            .map(|e| e["data"].clone())
            .collect()
    };
    let before = counting();
    let analysis = run(&["conflicts", "undo", conflict, "--dry-run", "--json"]).json();
    assert_eq!((&analysis["complexity"], &analysis["later_events"]), (&json!("simple"), &json!([])));
    let said = run(&["conflicts", "undo", conflict, "--dry-run"]).stdout;
    assert!(
        said.contains("built on it since: 0 (simple)") && said.ends_with("Nothing was changed.\n"),
        "{said}"
    );
    assert_eq!(counting(), before);
    bench.append("b", "later", "order-1", "{\"note\":\"x\"}");
    let analysis = run(&["conflicts", "undo", conflict, "--dry-run", "--json"]).json();
    assert_eq!((&analysis["complexity"], &analysis["later_events"]), (&json!("moderate"), &json!(["later"])));
    run(&["conflicts", "undo", conflict, "--by", "ann"]);
    assert!(!counting().contains(&json!({"cake": 3, "tea": 2})));
    let undone = run(&["audit", "--user", "ann", "--json"]).ndjson();
    assert_eq!((undone.len(), &undone[0]["decision"]["outcome"]), (1, &json!("undo")));
}
