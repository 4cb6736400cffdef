//! Databases that were dumped and restored, and those of every schema that there ever was.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use support::Database;
use synckit_core::{
    ErrorKind, Event, EventStore,
    store::{LogEntry, Offered, ReadRequest, Table, Write},
};
use synckit_store_postgres::PostgresStore;
use synckit_test_servers::postgres_programs;
use synckit_testkit::faults::{fill, try_everything};

/// One of PostgreSQL's own programs, for a database.
fn program(name: &str, database: &Database) -> Command {
    let folder = postgres_programs().unwrap_or_default();
    let mut command = Command::new(folder.join(name));
    command.arg("--dbname").arg(database.url().trim_end_matches(['?', '&']));
    command
}

fn dump(database: &Database, arguments: &[&str]) -> Vec<u8> {
    let done = program("pg_dump", database).args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

fn restore(database: &Database, dump: &[u8]) {
    let mut psql = program("psql", database);
    psql.args(["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]);
    let mut running = psql.stdin(Stdio::piped()).spawn().unwrap();
    running.stdin.take().unwrap().write_all(dump).unwrap();
    assert!(running.wait().unwrap().success());
}

async fn log(store: &dyn EventStore) -> Vec<LogEntry> {
    store.read(ReadRequest::default()).await.unwrap().entries
}

/// What a log says, wherever it is.
async fn content(store: &PostgresStore) -> BTreeMap<&'static str, String> {
    let maintenance = store.maintenance().unwrap();
    let mut quarantine = store.quarantine().await.unwrap();
    quarantine.sort_by_key(synckit_core::store::Quarantined::key);
    let mut said = BTreeMap::from([
        ("log", format!("{:?}", log(store).await)),
        ("vector", format!("{:?}", store.vector().await.unwrap())),
        ("conflicts", format!("{:?}", store.conflicts(None, 100).await.unwrap())),
        ("checkpoints", format!("{:?}", store.checkpoints().await.unwrap())),
        ("quarantine", format!("{quarantine:?}")),
    ]);
    for (name, table) in ["heads", "decisions", "reviews", "withdrawn", "other claims", "known stamps"]
        .into_iter()
        .zip(Table::ALL)
    {
        said.insert(name, format!("{:?}", maintenance.rows(table, None, 100).await.unwrap().changes));
    }
    said
}

async fn append(store: &PostgresStore, id: &str) -> u64 {
    let event = Event::new("t", "a", &1).unwrap().with_id(id).unwrap();
    let written = store.write(Write::Append(vec![event])).await.unwrap();
    assert_eq!(written.accepted(), 1);
    written.head.position
}

#[tokio::test]
async fn a_dump_that_is_restored_goes_on_as_another_node() {
    let database = Database::new(support::server()).await;
    let store = PostgresStore::create(database.tenant("one")).await.unwrap();
    fill(&store).await.unwrap();
    let (original, before) = (store.identity(), content(&store).await);
    let dumped = dump(&database, &[]);
    // The original goes on, and what it writes from now on is not in the dump.
    let head = append(&store, "later").await;

    let restored = Database::new(support::server()).await;
    restore(&restored, &dumped);
    let copy = PostgresStore::open(restored.tenant("one")).await.unwrap();
    let now = copy.identity();
    assert_eq!(copy.copied_from(), Some((original.node, now.node)));
    assert!(now.log != original.log && now.former.ends_with(&[original.node]));
    assert_eq!(content(&copy).await, before, "nothing is lost");
    assert_eq!(append(&copy, "elsewhere").await, head, "the numbers of the two logs are their own");
    let written = log(&copy).await.pop().unwrap();
    assert_eq!((written.stamp.origin, written.stamp.counter), (now.node, 1));

    // What the two have written since then fits together.
    let entry = log(&store).await.pop().unwrap();
    let offered =
        Offered { event: entry.event, stamp: Some(entry.stamp), stub: None, position: entry.position };
    let apply = synckit_core::store::Apply {
        peer: Some(original.log),
        entries: vec![offered],
        ..synckit_core::store::Apply::default()
    };
    let written = copy.write(Write::Apply(apply)).await.unwrap();
    assert_eq!(written.accepted(), 1, "{:?}", written.outcomes);
    copy.close().await.unwrap();
    let again = PostgresStore::open(restored.tenant("one")).await.unwrap();
    assert_eq!((again.identity(), again.copied_from()), (now, None), "once");
    let tried = try_everything(&again).await;
    assert!(!tried.is_wrong(), "{:?} {:?}", tried.errors, tried.findings);
    again.close().await.unwrap();
    assert_eq!(store.identity(), original, "the original is what it was");
    store.close().await.unwrap();
}

/// Dumps of stores with some of everything, one of each schema that there ever was.
fn schemas() -> BTreeMap<usize, PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas");
    let number = |path: &Path| path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).map(|path| (number(&path), path)).collect()
}

const VERSION: &str = "SELECT version::text FROM synckit.schema_version";
/// Everything that a migration could have made otherwise.
const SHAPE: &str = "SELECT concat_ws(' ', table_name, column_name, data_type, collation_name, is_nullable, \
    column_default, is_identity) FROM information_schema.columns WHERE table_schema = 'synckit' \
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'synckit' \
    UNION ALL SELECT concat_ws(' ', relname, reloptions::text) FROM pg_class \
    WHERE relnamespace = 'synckit'::regnamespace AND relkind = 'r' ORDER BY 1";

async fn strings(database: &Database, sql: &'static str) -> Vec<String> {
    use sqlx::Connection as _;
    let mut admin = database.connect().await;
    let found = sqlx::query_scalar(sql).fetch_all(&mut admin).await.unwrap();
    admin.close().await.unwrap();
    found
}

/// A store of the newest schema with some of everything, closed.
async fn newest() -> (std::sync::Arc<Database>, usize) {
    let database = Database::new(support::server()).await;
    let store = PostgresStore::create(database.tenant("one")).await.unwrap();
    fill(&store).await.unwrap();
    store.close().await.unwrap();
    let version = strings(&database, VERSION).await[0].parse().unwrap();
    (database, version)
}

#[tokio::test]
async fn a_database_of_every_older_schema_is_brought_up_to_date() {
    let (newest, version) = newest().await;
    let schemas = schemas();
    if !schemas.contains_key(&version) {
        let path = written_down(&newest, version);
        panic!("each schema needs a dump in tests/schemas; that of {version} is now at {}", path.display());
    }
    assert_eq!(schemas.keys().copied().collect::<Vec<_>>(), (1..=version).collect::<Vec<_>>());
    let shape = strings(&newest, SHAPE).await;
    for (older, path) in schemas {
        let database = Database::new(support::server()).await;
        restore(&database, &fs::read(path).unwrap());
        assert_eq!(strings(&database, VERSION).await, [older.to_string()]);
        let missing = PostgresStore::open(database.tenant("two")).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let store = PostgresStore::open(database.tenant("one")).await.unwrap();
        assert_eq!(strings(&database, VERSION).await, [version.to_string()], "from {older}");
        assert_eq!(strings(&database, SHAPE).await, shape, "from {older}");
        let tried = try_everything(&store).await;
        assert!(!tried.is_wrong(), "from {older}: {:?} {:?}", tried.errors, tried.findings);
        assert_eq!(tried.entries.len(), 33, "from {older}");
        store.close().await.unwrap();
        let store = PostgresStore::create(database.tenant("two")).await.unwrap();
        fill(&store).await.unwrap();
        store.close().await.unwrap();
    }
}

/// A dump of a store of the newest schema, for the folder of schemas; its path.
fn written_down(newest: &Database, version: usize) -> PathBuf {
    let sql = dump(newest, &["--no-owner", "--no-privileges", "--no-comments", "--inserts"]);
    let kept = |line: &&str| {
        let noise = ["--", "\\", "SET transaction_timeout"];
        !line.is_empty() && !noise.iter().any(|begin| line.starts_with(begin))
    };
    let sql: String =
        String::from_utf8(sql).unwrap().lines().filter(kept).flat_map(|line| [line, "\n"]).collect();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{version}.sql"));
    fs::write(&path, sql).unwrap();
    path
}
