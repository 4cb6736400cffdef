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

use crate::{
    run::{Outcome, Server, output, root, synckit},
    servers::postgres::Server as Postgres,
};

const ROUNDS: usize = 3;

/// The attributes of a CloudEvent as they are written.
type Attributes = BTreeMap<String, Box<RawValue>>;

/// What keeps the stores of a run.
struct Layout {
    hub: Kind,
    /// Of the replicas, in turn.
    replicas: &'static [Kind],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Fjall,
    Postgres,
}

const ALIKE: Layout = Layout { hub: Kind::Sqlite, replicas: &[Kind::Sqlite] };
const MIXED: [Layout; 2] = [
    Layout { hub: Kind::Postgres, replicas: &[Kind::Sqlite, Kind::Fjall, Kind::Postgres] },
    Layout { hub: Kind::Fjall, replicas: &[Kind::Postgres, Kind::Sqlite, Kind::Fjall] },
];

pub(crate) fn run(file: Option<PathBuf>) -> Outcome<()> {
    let file = file.unwrap_or_else(|| root().join("examples/data/flights-2013-01.ndjson.gz"));
    let program = synckit()?;
    let server = Postgres::private()?;
    let events = read(&file)?;
    println!("{} events from {}", events.len(), file.display());
    let month = Month { program: &program, file: &file, events: &events, server: &server };
    for mode in ["integer", "vector"] {
        for layout in std::iter::once(&ALIKE).chain(&MIXED) {
            month.apart(mode, layout)?;
        }
        month.twice(mode, &ALIKE)?;
        month.twice(mode, &MIXED[0])?;
    }
    crate::january_rules::run(&program, &file)
}

/// What all runs share.
struct Month<'a> {
    program: &'a Path,
    file: &'a Path,
    events: &'a BTreeMap<String, Attributes>,
    server: &'a Postgres,
}

impl Month<'_> {
    /// Each replica imports the events of its own source.
    fn apart(&self, mode: &str, layout: &Layout) -> Outcome<()> {
        let begun = Instant::now();
        let mut world = World::new(self, mode, layout)?;
        let sources: BTreeSet<String> = self.events.values().filter_map(|e| text(e, "source")).collect();
        let names: Vec<String> = (0..sources.len()).map(|i| format!("replica-{i}")).collect();
        for (name, source) in names.iter().zip(&sources) {
            world.init(name)?;
            let own = format!("source={source}");
            let said = world.json(name, &["import", "--where", &own, &self.file.to_string_lossy()])?;
            let expected =
                self.events.values().filter(|e| text(e, "source").as_ref() == Some(source)).count();
            check(said["accepted"] == expected, || {
                format!("{source}: {expected} events, and import said {said}")
            })?;
        }
        world.sync(&names)?;
        let digest = world.agree(&names)?;
        let took = begun.elapsed();
        world.complete(&names, self.events)?;
        println!(
            "{mode}, {layout}: {} replicas agree on {} events after {ROUNDS} rounds: {:.1} s",
            names.len(),
            digest["events"],
            took.as_secs_f64()
        );
        Ok(())
    }

    /// Two replicas import the same file: one set of events, stamped twice.
    fn twice(&self, mode: &str, layout: &Layout) -> Outcome<()> {
        let begun = Instant::now();
        let mut world = World::new(self, mode, layout)?;
        let names = ["replica-0".to_owned(), "replica-1".to_owned()];
        for name in &names {
            world.init(name)?;
            let said = world.json(name, &["import", &self.file.to_string_lossy()])?;
            check(said["accepted"] == self.events.len(), || format!("import said {said}"))?;
        }
        world.sync(&names)?;
        let digest = world.agree(&names)?;
        let events = self.events.len();
        check(digest["events"] == events, || format!("{events} events became {digest}"))?;
        world.complete(&names, self.events)?;
        println!(
            "{mode}, {layout}: the same file at two replicas is one set of events: {:.1} s",
            begun.elapsed().as_secs_f64()
        );
        Ok(())
    }
}

impl std::fmt::Display for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let replicas: Vec<&str> = self.replicas.iter().map(|kind| kind.name()).collect();
        write!(f, "hub on {}, replicas on {}", self.hub.name(), replicas.join(", "))
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Fjall => "fjall",
            Self::Postgres => "postgres",
        }
    }
}

/// A hub and the replicas' stores, in a folder that goes with it, and in a schema of the server.
struct World<'a> {
    program: &'a Path,
    mode: &'a str,
    layout: &'a Layout,
    server: &'a Postgres,
    folder: tempfile::TempDir,
    hub: Option<Server>,
}

impl<'a> World<'a> {
    fn new(month: &Month<'a>, mode: &'a str, layout: &'a Layout) -> Outcome<Self> {
        let (program, server) = (month.program, month.server);
        let folder = tempfile::tempdir()?;
        let mut world = Self { program, mode, layout, server, folder, hub: None };
        let store = world.store("hub");
        world.hub = Some(Server::start(program, &["--store", &store, "--mode", mode, "--node", "hub"])?);
        Ok(world)
    }

    /// The URL of a store. Each run has its own tenants.
    fn store(&self, name: &str) -> String {
        let number = name.strip_prefix("replica-").and_then(|n| n.parse::<usize>().ok());
        let kind = number.map_or(self.layout.hub, |n| self.layout.replicas[n % self.layout.replicas.len()]);
        let path = self.folder.path().join(name);
        match kind {
            Kind::Sqlite => format!("sqlite:{}.db", path.display()),
            Kind::Fjall => format!("fjall:{}", path.display()),
            Kind::Postgres => {
                let run = self.folder.path().file_name().unwrap_or_default().to_string_lossy();
                let run: String = run.chars().filter(char::is_ascii_alphanumeric).collect();
                format!("{}?tenant={run}-{name}", self.server.url())
            }
        }
    }

    fn init(&self, name: &str) -> Outcome<()> {
        let store = self.store(name);
        output(self.program, &["init", "--store", &store, "--node", name, "--mode", self.mode]).map(drop)
    }

    fn json(&self, name: &str, arguments: &[&str]) -> Outcome<Value> {
        let store = self.store(name);
        let mut all = arguments.to_vec();
        all.extend(["--store", &store, "--json"]);
        Ok(serde_json::from_str(&output(self.program, &all)?)?)
    }

    fn sync(&self, names: &[String]) -> Outcome<()> {
        for round in 1..=ROUNDS {
            for name in names {
                let hub = self.hub.as_ref().map_or("", |hub| &hub.url);
                let said = self.json(name, &["sync", "--remote", hub])?;
                eprintln!("  {} round {round} {name}: {said}", self.mode);
            }
        }
        Ok(())
    }

    /// All say the same. A store that only one process can open is looked at once the hub is gone.
    fn agree(&mut self, names: &[String]) -> Outcome<Value> {
        self.hub = None;
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
            let store = self.store(name);
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
