//! Indexes of all kinds, entries, and logs with decisions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use proptest::prelude::*;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use synckit_audit::{AuditEntry, AuditIndex, MemoryAuditIndex, PostgresAuditIndex, SqliteAuditIndex};
use synckit_core::{
    AggregateId, Clock, ConflictId, Environment, Event, EventId, EventStore, Hash, Hub, LogCursor, LogId,
    Mark, NodeId, SystemEntropy, Timestamp, VertexId, decision::Decision,
};
use synckit_node::{AuditFilter, SyncNode};
use synckit_store_mem::MemStore;

const VARIABLE: &str = "SYNCKIT_TEST_POSTGRES_URL";

/// Where indexes of one kind are.
#[derive(Debug)]
pub(crate) enum Place {
    Memory,
    File(tempfile::TempDir),
    Server(Schema),
}

/// A schema that goes with the last one who uses it.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) url: String,
    name: String,
}

impl Schema {
    pub(crate) fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let server = std::env::var(VARIABLE).unwrap_or_else(|_| {
            panic!("{VARIABLE} names no PostgreSQL server; run cargo xtask test, which starts one")
        });
        let name = format!("audit_test_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let and = if server.contains('?') { '&' } else { '?' };
        Self { url: format!("{server}{and}schema={name}"), name }
    }

    /// Runs statements in the schema.
    pub(crate) async fn run(&self, sql: &str) {
        let mut connection = PgConnection::connect(&std::env::var(VARIABLE).unwrap()).await.unwrap();
        let sql = format!("SET search_path TO \"{}\"; {sql}", self.name);
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    pub(crate) async fn drop(self) {
        self.run(&format!("DROP SCHEMA IF EXISTS \"{}\" CASCADE", self.name)).await;
    }
}

impl Place {
    /// One of each kind.
    pub(crate) fn all() -> [Self; 3] {
        [Self::Memory, Self::File(tempfile::tempdir().unwrap()), Self::Server(Schema::new())]
    }

    /// The index in this place; in memory, a new one.
    pub(crate) async fn open(&self, log: LogId) -> Arc<dyn AuditIndex> {
        match self {
            Self::Memory => Arc::new(MemoryAuditIndex::new()),
            Self::File(folder) => {
                Arc::new(SqliteAuditIndex::open(folder.path().join("audit.db")).await.unwrap())
            }
            Self::Server(schema) => Arc::new(PostgresAuditIndex::open(&schema.url, log).await.unwrap()),
        }
    }

    pub(crate) async fn leave(self) {
        if let Self::Server(schema) = self {
            schema.drop().await;
        }
    }
}

pub(crate) fn log() -> LogId {
    LogId::from_u128(7)
}

pub(crate) fn at(position: u64) -> LogCursor {
    LogCursor { log: log(), mark: Mark { position, hash: Hash::of(&position.to_be_bytes()) } }
}

pub(crate) fn entry(position: u64, event: &str) -> AuditEntry {
    let decision = Decision::adopting(vec![VertexId::new("head").unwrap()], "keep", "last_write_wins");
    made(position, event, "a", position, decision)
}

fn made(position: u64, event: &str, aggregate: &str, written: u64, decision: Decision) -> AuditEntry {
    AuditEntry::new(
        EventId::new(event).unwrap(),
        position,
        AggregateId::new(aggregate).unwrap(),
        NodeId::from_u128(3),
        Timestamp::from_micros(written),
        decision,
    )
}

/// Names that are easily confused.
fn name() -> impl Strategy<Value = String> {
    const NAMES: [&str; 14] =
        ["", "a", "a.", "a.b", "a.b.c", "a/b", "a%", "a_", "A", "ä", "a\0", "b", "'; --", "a..b"];
    proptest::sample::select(NAMES.as_slice()).prop_map(str::to_owned)
}

fn maybe<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::weighted(0.5, of)
}

fn aggregate() -> impl Strategy<Value = String> {
    const AGGREGATES: [&str; 6] = ["a", "A", "a.b", "ä", "%", "z"];
    proptest::sample::select(AGGREGATES.as_slice()).prop_map(str::to_owned)
}

fn conflict() -> impl Strategy<Value = ConflictId> {
    (0..4_u8).prop_map(|n| ConflictId::new(format!("c-{n}")).unwrap())
}

prop_compose! {
    fn decision()(
        conflict in maybe(conflict()),
        user in maybe(name()),
        resolver in name(),
        rule in maybe(name()),
        group in maybe(name()),
        reasons in proptest::collection::vec(name(), 0..2),
    ) -> Decision {
        let mut decision = Decision::adopting(vec![VertexId::new("head").unwrap()], "keep", resolver);
        (decision.conflict, decision.user, decision.rule) = (conflict, user, rule);
        (decision.group, decision.reasons) = (group, reasons);
        decision
    }
}

/// Decisions at some positions of a log, in its order.
pub(crate) fn entries() -> impl Strategy<Value = Vec<AuditEntry>> {
    let one = (1..4_u64, aggregate(), 0..6_u64, decision());
    proptest::collection::vec(one, 0..25).prop_map(|all| {
        let mut position = 0;
        let next = |(gap, aggregate, written, decision): (u64, String, u64, Decision)| {
            position += gap;
            made(position, &format!("e{position}"), &aggregate, written, decision)
        };
        all.into_iter().map(next).collect()
    })
}

prop_compose! {
    pub(crate) fn filter()(
        aggregate in proptest::option::weighted(0.3, aggregate()),
        conflict in proptest::option::weighted(0.2, conflict()),
        user in proptest::option::weighted(0.2, name()),
        resolver in proptest::option::weighted(0.2, name()),
        rule in proptest::option::weighted(0.2, name()),
        group in proptest::option::weighted(0.3, name()),
        from in proptest::option::weighted(0.3, 0..6_u64),
        to in proptest::option::weighted(0.3, 0..6_u64),
    ) -> AuditFilter {
        let mut filter = AuditFilter::default();
        filter.aggregate = aggregate.map(|a| AggregateId::new(a).unwrap());
        (filter.conflict, filter.user, filter.resolver) = (conflict, user, resolver);
        (filter.rule, filter.group) = (rule, group);
        (filter.from, filter.to) = (from.map(Timestamp::from_micros), to.map(Timestamp::from_micros));
        filter
    }
}

/// A clock that never shows one time twice.
#[derive(Debug, Default)]
pub(crate) struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_000_000_000_000 + self.0.fetch_add(1, Ordering::SeqCst))
    }
}

/// Two replicas and a hub between them.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) store: MemStore,
    pub(crate) here: SyncNode,
    there: SyncNode,
    conflicts: usize,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let environment =
            Environment { clock: Arc::new(TestClock::default()), entropy: Arc::new(SystemEntropy) };
        let hub = Arc::new(Hub::new(Arc::new(MemStore::new())));
        let store = || MemStore::builder().environment(environment.clone()).build();
        let node = |store: &MemStore| {
            let builder = SyncNode::builder(Arc::new(store.clone())).transport(hub.clone());
            builder
                .environment(environment.clone())
                .resolver_timeout(Duration::from_secs(60))
                .build()
                .unwrap()
        };
        let own = store();
        Self { here: node(&own), there: node(&store()), store: own, conflicts: 0 }
    }

    /// So many conflicts come up, and are decided.
    pub(crate) async fn disagree(&mut self, conflicts: usize) {
        let numbers = self.conflicts..self.conflicts + conflicts;
        self.conflicts += conflicts;
        let events = |by: &str| {
            let event = |n| Event::new("changed", format!("order-{n}"), &json!({"by": by, "n": n})).unwrap();
            numbers.clone().map(event).collect()
        };
        self.here.append(events("here")).await.unwrap();
        self.there.append(events("there")).await.unwrap();
        self.there.sync().await.unwrap();
        self.here.sync().await.unwrap();
        assert_eq!(self.here.store().count_conflicts().await.unwrap(), 0);
    }

    /// What the log says.
    pub(crate) async fn audited(&self) -> Vec<AuditEntry> {
        let mut found = Vec::new();
        let all = AuditFilter::default();
        self.here
            .audit(&all, |entry| {
                found.push(entry);
                Ok::<(), synckit_core::Error>(())
            })
            .await
            .unwrap();
        found
    }

    pub(crate) fn log(&self) -> LogId {
        self.store.identity().log
    }
}
