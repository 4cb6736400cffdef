//! Moving stores, and examining them.

use crate::support::Bench;

/// A store with `count` events, and the bench that it is on.
fn filled(count: usize) -> Bench {
    let bench = Bench::with(&["old"]);
    let lines: String = (0..count)
        .map(|n| {
            format!(
                "{{\"specversion\":\"1.0\",\"source\":\"/s\",\"id\":\"e-{n}\",\"type\":\"t\",\"subject\":\"a-{}\",\"data\":{n}}}\n",
                n % 700
            )
        })
        .collect();
    assert_eq!(bench.import("old", lines.as_bytes()).1["accepted"], count);
    bench
}

#[test]
fn a_store_moves_and_the_old_one_is_sealed() {
    let bench = filled(3_000);
    let before = bench.run(&["status", "--json", "--store", "sqlite:old.db"]).ok().json();
    let copied =
        bench.run(&["copy", "--json", "--from", "sqlite:old.db", "--to", "sqlite:new.db"]).ok().json();
    assert_eq!((&copied["copied"], &copied["sealed"]), (&3_000.into(), &true.into()));
    let after = bench.run(&["status", "--json", "--store", "sqlite:new.db"]).ok().json();
    assert_eq!((&before["node"], &before["head"]), (&after["node"], &after["head"]));
    assert_eq!(bench.digest("old"), bench.digest("new"));
    let sealed = bench.run(&["status", "--json", "--store", "sqlite:old.db"]).ok().json();
    assert_eq!(
        (&sealed["moved_to"], &after["moved_to"]),
        (&"sqlite:new.db".into(), &serde_json::Value::Null)
    );
    bench.append("new", "later", "a-1", "1");
    let append = ["append", "--store", "sqlite:old.db", "--type", "t", "--aggregate", "x", "--data", "1"];
    bench.run(&append).failed(1, &["moved to sqlite:new.db"]);
    bench
        .run(&["copy", "--from", "sqlite:old.db", "--to", "sqlite:third.db"])
        .failed(1, &["moved to sqlite:new.db"]);
    bench.run(&["copy", "--from", "sqlite:new.db", "--to", "sqlite:old.db"]).failed(1, &["a store already"]);
    bench
        .run(&["copy", "--from", "sqlite:none.db", "--to", "sqlite:x.db"])
        .failed(1, &["no store at none.db"]);
    bench.run(&["copy", "--from", "sqlite:new.db", "--to", "mem:"]).failed(1, &["in memory"]);
}

#[test]
fn a_copy_may_become_a_node_of_its_own() {
    let bench = filled(100);
    let args = ["copy", "--json", "--as-new-node", "--from", "sqlite:old.db", "--to", "sqlite:new.db"];
    let copied = bench.run(&args).ok().json();
    assert_eq!(copied["sealed"], false);
    let hub = bench.serve("hub");
    bench.append("old", "by-old", "a-1", "1");
    bench.append("new", "by-new", "a-1", "2");
    for name in ["old", "new", "old"] {
        bench.sync(name, &hub.url, &[]);
    }
    assert_eq!(bench.digest("old"), bench.digest("new"));
}

#[test]
fn a_log_moves_to_another_engine_and_back() {
    let bench = filled(2_000);
    let digest = bench.digest("old");
    bench.run(&["copy", "--from", "sqlite:old.db", "--to", "fjall:tree"]).ok();
    assert_eq!(bench.run(&["digest", "--json", "--store", "fjall:tree"]).ok().json(), digest);
    bench.run(&["doctor", "--store", "fjall:tree"]).ok();
    bench.run(&["copy", "--from", "fjall:tree", "--to", "sqlite:back.db"]).ok();
    assert_eq!(bench.digest("back"), digest);
    let append = ["append", "--store", "fjall:tree", "--type", "t", "--aggregate", "x", "--data", "1"];
    bench.run(&append).failed(1, &["moved to sqlite:back.db"]);
}

#[test]
fn a_hub_may_keep_its_log_in_a_tree() {
    let bench = Bench::with(&["a", "b"]);
    bench.run(&["init", "--store", "fjall:hub", "--node", "hub"]).ok();
    let hub = bench.serve_with(&["serve", "--store", "fjall:hub", "--listen", "127.0.0.1:0"]);
    let busy = ["status", "--store", "fjall:hub"];
    bench.run(&busy).failed(1, &["one process at a time"]);
    bench.append("a", "tea", "pot-1", "1");
    for name in ["a", "b"] {
        bench.sync(name, &hub.url, &[]);
    }
    assert_eq!(bench.digest("a"), bench.digest("b"));
    drop(hub);
    bench.run(&["doctor", "--store", "fjall:hub"]).ok();
}

#[test]
fn a_copy_that_was_killed_goes_on_and_is_no_store_before() {
    let bench = filled(20_000);
    let args = ["copy", "--json", "--from", "sqlite:old.db", "--to", "sqlite:new.db"];
    let begun = std::time::Instant::now();
    let trial = ["copy", "--as-new-node", "--from", "sqlite:old.db", "--to", "sqlite:trial.db"];
    bench.run(&trial).ok();
    let whole = begun.elapsed();
    for n in 1..8 {
        let mut copying = bench.command(&args).spawn().unwrap();
        std::thread::sleep(whole * n / 8);
        copying.kill().unwrap();
        copying.wait().unwrap();
        let status = bench.run(&["status", "--store", "sqlite:new.db"]);
        // It may have been too early for a file, or too late to be killed.
        let told =
            ["not finished", "no store at", "empty database"].iter().any(|w| status.stderr.contains(w));
        assert!(status.status == Some(0) || told, "{status:?}");
    }
    let last = bench.run(&args);
    assert!(last.status == Some(0) || last.stderr.contains("a store already"), "{last:?}");
    assert_eq!(bench.digest("old"), bench.digest("new"));
    bench.run(&["doctor", "--store", "sqlite:new.db"]).ok();
    let append = ["append", "--store", "sqlite:old.db", "--type", "t", "--aggregate", "x", "--data", "1"];
    bench.run(&append).failed(1, &["moved to sqlite:new.db"]);
}

fn change(bench: &Bench, statement: &'static str) {
    rusqlite::Connection::open(bench.dir.path().join("old.db")).unwrap().execute_batch(statement).unwrap();
}

#[test]
fn the_doctor_finds_what_is_wrong_and_says_how_to_mend_it() {
    let bench = filled(50);
    let doctor = ["doctor", "--json", "--store", "sqlite:old.db"];
    let well = bench.run(&doctor).ok().json();
    assert_eq!((&well["well"], &well["events"], &well["aggregates"]), (&true.into(), &50.into(), &50.into()));
    for (statement, kind) in [
        ("UPDATE entries SET data = x'39' WHERE position = 7", "damaged"),
        ("UPDATE entries SET timestamp = timestamp + 1 WHERE position = 9", "chain"),
        ("DELETE FROM entries WHERE position = 11", "position"),
        (
            "UPDATE aggregates SET heads = (SELECT heads FROM aggregates WHERE aggregate_id = 'a-1') WHERE aggregate_id = 'a-2'",
            "heads",
        ),
        ("UPDATE aggregates SET conflict = 'c' WHERE aggregate_id = 'a-3'", "conflict"),
        ("UPDATE origins SET ids = zeroblob(16)", "progress"),
        ("UPDATE node SET counter = 3", "counter"),
        ("UPDATE node SET hash = zeroblob(32)", "head"),
        ("UPDATE node SET clock = 9007199254740000", "clock"),
        ("UPDATE stamps SET position = 1 WHERE position = 2", "engine"),
    ] {
        let bench = filled(50);
        change(&bench, statement);
        let ran = bench.run(&doctor);
        assert_eq!(ran.status, Some(1), "{statement}: {ran:?}");
        let findings = ran.json()["findings"].as_array().unwrap().clone();
        let found = findings
            .iter()
            .find(|f| f["kind"] == kind)
            .unwrap_or_else(|| panic!("{statement}: {findings:?}"));
        assert!(!found["mend"].as_str().unwrap().is_empty());
    }
    let status = bench.run(&["doctor", "--store", "sqlite:none.db"]);
    status.failed(1, &["no store at none.db"]);
    bench.write("broken.db", &std::fs::read(bench.dir.path().join("old.db")).unwrap()[..30_000]);
    let broken = bench.run(&["doctor", "--store", "sqlite:broken.db"]);
    assert!(broken.status == Some(1) && broken.stdout.contains("mend:"), "{broken:?}");
}

#[test]
fn a_file_that_cannot_be_written_is_told() {
    use std::os::unix::{fs::PermissionsExt as _, process::CommandExt as _};
    let bench = filled(3);
    // Whoever may write everything works as somebody who may not; he needs the program in a place that he can see.
    let program = bench.dir.path().join("synckit");
    std::fs::copy(env!("CARGO_BIN_EXE_synckit"), &program).unwrap();
    for (path, mode) in [(bench.dir.path().join("old.db"), 0o444), (bench.dir.path().to_path_buf(), 0o555)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let args = ["append", "--store", "sqlite:old.db", "--type", "t", "--aggregate", "x", "--data", "1"];
    let mut command = std::process::Command::new(&program);
    command.args(args).current_dir(bench.dir.path());
    if std::fs::write(bench.dir.path().join("probe"), b"").is_ok() {
        command.uid(65_534);
    }
    let output = command.output().unwrap();
    std::fs::set_permissions(bench.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot be written") || stderr.contains("cannot be opened"), "{stderr}");
    assert_eq!(bench.export("old").lines().count(), 3);
}
