//! A month of flights through the command line: three replicas record offline, meet at a hub, and agree.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead, BufReader, Read as _},
    path::{Path, PathBuf},
    time::Instant,
};

use flate2::read::GzDecoder;
use serde_json::{Value, value::RawValue};

use crate::run::{Outcome, Server, output, root, synckit};

const ROUNDS: usize = 3;

/// The attributes of a CloudEvent as they are written.
type Attributes = BTreeMap<String, Box<RawValue>>;

pub(crate) fn run(file: Option<PathBuf>) -> Outcome<()> {
    let file = file.unwrap_or_else(|| root().join("examples/data/flights-2013-01.ndjson.gz"));
    let program = synckit()?;
    let events = read(&file)?;
    println!("{} events from {}", events.len(), file.display());
    for mode in ["integer", "vector"] {
        apart(&program, &file, mode, &events)?;
        twice(&program, &file, mode, &events)?;
    }
    Ok(())
}

/// Each replica imports the events of its own source.
fn apart(program: &Path, file: &Path, mode: &str, events: &BTreeMap<String, Attributes>) -> Outcome<()> {
    let begun = Instant::now();
    let world = World::new(program, mode)?;
    let sources: BTreeSet<String> = events.values().filter_map(|e| text(e, "source")).collect();
    let names: Vec<String> = (0..sources.len()).map(|i| format!("replica-{i}")).collect();
    for (name, source) in names.iter().zip(&sources) {
        world.init(name)?;
        let own = format!("source={source}");
        let said = world.json(name, &["import", "--where", &own, &file.to_string_lossy()])?;
        let expected = events.values().filter(|e| text(e, "source").as_ref() == Some(source)).count();
        check(said["accepted"] == expected, || {
            format!("{source}: {expected} events, and import said {said}")
        })?;
    }
    world.sync(&names)?;
    let digest = world.agree(&names)?;
    let took = begun.elapsed();
    world.complete(&names, events)?;
    println!(
        "{mode}: {} replicas agree on {} events after {ROUNDS} rounds: {:.1} s",
        names.len(),
        digest["events"],
        took.as_secs_f64()
    );
    Ok(())
}

/// Two replicas import the same file: one set of events, stamped twice.
fn twice(program: &Path, file: &Path, mode: &str, events: &BTreeMap<String, Attributes>) -> Outcome<()> {
    let begun = Instant::now();
    let world = World::new(program, mode)?;
    let names = ["first".to_owned(), "second".to_owned()];
    for name in &names {
        world.init(name)?;
        let said = world.json(name, &["import", &file.to_string_lossy()])?;
        check(said["accepted"] == events.len(), || format!("import said {said}"))?;
    }
    world.sync(&names)?;
    let digest = world.agree(&names)?;
    check(digest["events"] == events.len(), || format!("{} events became {digest}", events.len()))?;
    world.complete(&names, events)?;
    println!(
        "{mode}: the same file at two replicas is one set of events: {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

/// A hub and the replicas' stores, in a folder that goes with it.
struct World<'a> {
    program: &'a Path,
    mode: &'a str,
    folder: tempfile::TempDir,
    hub: Server,
}

impl<'a> World<'a> {
    fn new(program: &'a Path, mode: &'a str) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let store = url(folder.path(), "hub");
        let hub = Server::start(program, &["--store", &store, "--mode", mode, "--node", "hub"])?;
        Ok(Self { program, mode, folder, hub })
    }

    fn init(&self, name: &str) -> Outcome<()> {
        let store = url(self.folder.path(), name);
        output(self.program, &["init", "--store", &store, "--node", name, "--mode", self.mode]).map(drop)
    }

    fn json(&self, name: &str, arguments: &[&str]) -> Outcome<Value> {
        let store = url(self.folder.path(), name);
        let mut all = arguments.to_vec();
        all.extend(["--store", &store, "--json"]);
        Ok(serde_json::from_str(&output(self.program, &all)?)?)
    }

    fn sync(&self, names: &[String]) -> Outcome<()> {
        for round in 1..=ROUNDS {
            for name in names {
                let said = self.json(name, &["sync", "--remote", &self.hub.url])?;
                eprintln!("  {} round {round} {name}: {said}", self.mode);
            }
        }
        Ok(())
    }

    fn agree(&self, names: &[String]) -> Outcome<Value> {
        let expected = self.json("hub", &["digest"])?;
        for name in names {
            let digest = self.json(name, &["digest"])?;
            check(digest == expected, || format!("{name} has {digest}, and the hub {expected}"))?;
        }
        Ok(expected)
    }

    /// Every event is in every log, with its attributes unchanged.
    fn complete(&self, names: &[String], events: &BTreeMap<String, Attributes>) -> Outcome<()> {
        for name in names.iter().map(String::as_str).chain(["hub"]) {
            let store = url(self.folder.path(), name);
            let exported = output(self.program, &["export", "--store", &store])?;
            let exported = parse(exported.as_bytes())?;
            for (id, attributes) in events {
                let held = exported.get(id).ok_or_else(|| format!("{name} lacks {id}"))?;
                let same = attributes.len() == held.len()
                    && attributes.iter().all(|(k, v)| held.get(k).is_some_and(|h| h.get() == v.get()));
                check(same, || format!("{name} gives {id} back as {held:?}, and it was {attributes:?}"))?;
            }
        }
        Ok(())
    }
}

fn url(folder: &Path, name: &str) -> String {
    format!("sqlite:{}", folder.join(format!("{name}.db")).display())
}

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Outcome<()> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}

fn text(attributes: &Attributes, name: &str) -> Option<String> {
    serde_json::from_str(attributes.get(name)?.get()).ok()
}

fn read(file: &Path) -> Outcome<BTreeMap<String, Attributes>> {
    let mut start = [0; 2];
    let length = File::open(file)?.read(&mut start)?;
    let reader = BufReader::new(File::open(file)?);
    if start[..length] == [0x1f, 0x8b] {
        parse(BufReader::new(GzDecoder::new(reader)))
    } else {
        parse(reader)
    }
}

fn parse(lines: impl BufRead) -> Outcome<BTreeMap<String, Attributes>> {
    let mut events = BTreeMap::new();
    for line in lines.lines() {
        let attributes: Attributes = serde_json::from_str(&line?)?;
        let id = text(&attributes, "id").ok_or("an event without an id")?;
        events.insert(id, attributes);
    }
    Ok(events)
}
