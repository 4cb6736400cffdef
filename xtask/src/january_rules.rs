//! The month of flights once more, decided by a rule file: in whatever order the replicas meet, they agree; every decision
//! names its rule; people answer from anywhere, and take an answer back everywhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Instant,
};

use serde_json::Value;

use crate::run::{Outcome, Server, output, root};

const SOURCES: [&str; 3] = ["EWR", "JFK", "LGA"];
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
const ROUNDS: usize = 3;

pub(crate) fn run(program: &Path, file: &Path) -> Outcome<()> {
    let mut first: Option<BTreeMap<String, Value>> = None;
    for order in ORDERS {
        let begun = Instant::now();
        let world = World::new(program, file, order)?;
        world.sync(ROUNDS)?;
        world.agree()?;
        let decided = world.audited()?;
        let merged = world.merged()?;
        match &first {
            None => first = Some(merged),
            Some(expected) if *expected == merged => {}
            Some(expected) => {
                let differs = expected.iter().find(|(aircraft, data)| merged.get(*aircraft) != Some(data));
                return Err(format!(
                    "{order:?}: merged data differ from those of the first order: {differs:?}"
                )
                .into());
            }
        }
        world.answer_and_take_back()?;
        println!(
            "by rules, order {order:?}: 3 replicas agree on {decided} decisions, 3 answers and an undo: {:.1} s",
            begun.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

struct World<'a> {
    program: &'a Path,
    folder: tempfile::TempDir,
    order: [usize; 3],
    rules: PathBuf,
    hub: Server,
}

impl<'a> World<'a> {
    fn new(program: &'a Path, file: &Path, order: [usize; 3]) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let store = format!("sqlite:{}", folder.path().join("hub.db").display());
        let hub = Server::start(program, &["--store", &store, "--node", "hub"])?;
        let world = Self { program, folder, order, rules: root().join("examples/rules/flights.yaml"), hub };
        for (replica, source) in SOURCES.iter().enumerate() {
            let store = world.store(replica);
            output(program, &["init", "--store", &store, "--node", source])?;
            let own = format!("source=/airports/{source}");
            output(program, &["import", "--store", &store, "--where", &own, &file.to_string_lossy()])?;
        }
        Ok(world)
    }

    fn store(&self, replica: usize) -> String {
        format!("sqlite:{}", self.folder.path().join(format!("replica-{replica}.db")).display())
    }

    fn lines(&self, replica: usize, arguments: &[&str]) -> Outcome<Vec<Value>> {
        let store = self.store(replica);
        let mut all = arguments.to_vec();
        all.extend(["--store", &store, "--json"]);
        let said = output(self.program, &all)?;
        said.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    fn one(&self, replica: usize, arguments: &[&str]) -> Outcome<Value> {
        self.lines(replica, arguments)?.pop().ok_or_else(|| "nothing was said".into())
    }

    fn sync(&self, rounds: usize) -> Outcome<()> {
        let rules = self.rules.to_string_lossy();
        for _ in 0..rounds {
            for replica in self.order {
                self.one(replica, &["sync", "--remote", &self.hub.url, "--rules", &rules])?;
            }
        }
        Ok(())
    }

    fn agree(&self) -> Outcome<Value> {
        let expected = self.one(0, &["digest"])?;
        for replica in 1..3 {
            let digest = self.one(replica, &["digest"])?;
            if digest != expected {
                return Err(
                    format!("{:?}: replica {replica} has {digest}, and not {expected}", self.order).into()
                );
            }
        }
        Ok(expected)
    }

    /// Every decision names the rule that made it. Gives how many there are.
    fn audited(&self) -> Outcome<usize> {
        let audit = self.lines(0, &["audit"])?;
        if let Some(nameless) = audit.iter().find(|d| d["decision"]["rule"].is_null()) {
            return Err(format!("a decision names no rule: {nameless}").into());
        }
        let by = |rule: &str| audit.iter().filter(|d| d["decision"]["rule"] == rule).count();
        let counts = ["aircraft.same-place", "aircraft.positions.moved"].map(|rule| (rule, by(rule)));
        eprintln!("  {counts:?}");
        if counts.iter().any(|(_, decided)| *decided == 0) {
            return Err(format!("a rule decided nothing: {counts:?}").into());
        }
        Ok(audit.len())
    }

    /// What counts of the aircraft that rules decided on: what was merged, or else the newest event, which says as much.
    fn merged(&self) -> Outcome<BTreeMap<String, Value>> {
        let of = |entry: &Value| entry["aggregate"].as_str().unwrap_or_default().to_owned();
        let decided: BTreeSet<String> =
            self.lines(0, &["audit", "--group", "aircraft"])?.iter().map(of).collect();
        let mut newest: BTreeMap<String, (u64, Value)> = BTreeMap::new();
        for entry in self.lines(0, &["log", "--effective"])? {
            let (aircraft, written) = (of(&entry), entry["timestamp"].as_u64().unwrap_or(u64::MAX));
            if decided.contains(&aircraft) && newest.get(&aircraft).is_none_or(|(held, _)| *held < written) {
                newest.insert(aircraft, (written, entry["data"].clone()));
            }
        }
        Ok(newest.into_iter().map(|(aircraft, (_, data))| (aircraft, data)).collect())
    }

    /// Three reviews are answered at three nodes, and one answer is taken back at another.
    fn answer_and_take_back(&self) -> Outcome<()> {
        let open = self.lines(0, &["conflicts", "list"])?;
        if open.len() != 3 || open.iter().any(|c| c["in_review"] != true) {
            return Err(format!("{:?}: three reviews were expected, and not {open:?}", self.order).into());
        }
        let ids: Vec<&str> = open.iter().filter_map(|c| c["id"].as_str()).collect();
        for (replica, id) in ids.iter().enumerate() {
            let shown = self.one(replica, &["conflicts", "show", id])?;
            let newest = |side: &&Value| side["events"].as_array()?.last()?["timestamp"].as_u64();
            // Not the side that counts for the time being, so that the answer and its undo make a difference.
            let oldest = shown["sides"].as_array().into_iter().flatten().min_by_key(newest);
            let head = oldest.and_then(|side| side["head"].as_str()).unwrap_or_default().to_owned();
            self.one(replica, &["conflicts", "resolve", id, "--keep", &head, "--by", SOURCES[replica]])?;
        }
        self.sync(2)?;
        let answered = self.agree()?;
        for replica in 0..3 {
            let open = self.lines(replica, &["conflicts", "list"])?;
            let of_people = self.lines(replica, &["audit", "--resolver", "person"])?;
            if !open.is_empty() || of_people.len() != 3 {
                return Err(format!("replica {replica} has open {open:?}, and answers {of_people:?}").into());
            }
        }
        let analysis = self.one(2, &["conflicts", "undo", ids[0], "--dry-run"])?;
        if analysis["complexity"] != "simple" || self.agree()? != answered {
            return Err(format!("a dry run said {analysis}, or changed something").into());
        }
        self.one(2, &["conflicts", "undo", ids[0], "--by", "LGA"])?;
        self.sync(2)?;
        if self.agree()?["view"] == answered["view"] {
            return Err("the undo changed nothing".into());
        }
        Ok(())
    }
}
