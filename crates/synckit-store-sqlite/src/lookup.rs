//! What is known before a write.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};
use synckit_core::{
    AggregateId, EventId, Hash, LogId, Mark, NodeId, Result, Stamp, Timestamp, VertexId, decode_offered,
    decode_parents,
    graph::Vertex,
    plan::{Claim, Known, Lookup, NodeState},
    store::{QuarantineSide, Quarantined, Refusal, RefusalCode, Standing},
};

use crate::{
    error::from_sqlx,
    packed,
    read::{self, signed},
};

const OPERATION: &str = "look up";
/// Keeps what SQLite hands over at once far below its largest value.
const VERTICES_AT_ONCE: i64 = 100_000;

/// A column in the kit's terms.
pub(crate) trait Columns {
    fn text(&self, i: usize) -> Result<String>;
    fn blob(&self, i: usize) -> Result<Vec<u8>>;
    fn number(&self, i: usize) -> Result<u64>;
    fn stamp(&self, from: usize) -> Result<Stamp>;
}

impl Columns for SqliteRow {
    fn text(&self, i: usize) -> Result<String> {
        self.try_get(i).map_err(from_sqlx(OPERATION))
    }

    fn blob(&self, i: usize) -> Result<Vec<u8>> {
        self.try_get(i).map_err(from_sqlx(OPERATION))
    }

    fn number(&self, i: usize) -> Result<u64> {
        self.try_get::<i64, _>(i).map(i64::cast_unsigned).map_err(from_sqlx(OPERATION))
    }

    /// Origin, counter, timestamp and parents, in four columns.
    fn stamp(&self, from: usize) -> Result<Stamp> {
        Ok(Stamp {
            origin: NodeId::from_slice(self.try_get(from).map_err(from_sqlx(OPERATION))?)?,
            counter: self.number(from + 1)?,
            timestamp: Timestamp::from_micros(self.number(from + 2)?),
            parents: decode_parents(self.try_get(from + 3).map_err(from_sqlx(OPERATION))?)?,
        })
    }
}

/// Texts as one parameter, for `json_each`; each of them once.
pub(crate) fn list<'a, T: AsRef<str> + 'a>(texts: impl IntoIterator<Item = &'a T>) -> String {
    let unique: BTreeSet<&str> = texts.into_iter().map(AsRef::as_ref).collect();
    array(unique)
}

/// Texts as one parameter, for `json_each`.
fn array<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut array = String::from("[");
    for text in texts {
        if array.len() > 1 {
            array.push(',');
        }
        // Names that need no escapes are the rule.
        if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
            array.push('"');
            array.push_str(text);
            array.push('"');
        } else {
            array.push_str(&serde_json::Value::from(text).to_string());
        }
    }
    array.push(']');
    array
}

pub(crate) async fn node(connection: &mut SqliteConnection) -> Result<NodeState> {
    let sql = "SELECT log, node, former, counter, clock, position, hash FROM node";
    node_of(&sqlx::query(sql).fetch_one(connection).await.map_err(from_sqlx(OPERATION))?)
}

/// Which tables of claims have rows. Mostly none has, and looking into them can be spared.
#[derive(Clone, Copy)]
pub(crate) struct Claimed {
    withdrawn: bool,
    others: bool,
}

/// The node, whether there are claims, and whether the log may be written to.
pub(crate) async fn node_and_claimed(
    connection: &mut SqliteConnection,
) -> Result<(NodeState, Claimed, Standing)> {
    let sql = "SELECT log, node, former, counter, clock, position, hash, \
               EXISTS (SELECT 1 FROM withdrawn), EXISTS (SELECT 1 FROM other_claims), standing FROM node";
    let row = sqlx::query(sql).fetch_one(connection).await.map_err(from_sqlx(OPERATION))?;
    let claimed = Claimed { withdrawn: row.number(7)? != 0, others: row.number(8)? != 0 };
    Ok((node_of(&row)?, claimed, Standing::parse(&row.text(9)?)?))
}

fn node_of(row: &SqliteRow) -> Result<NodeState> {
    let former: Result<Vec<NodeId>> = row.blob(2)?.chunks(16).map(NodeId::from_slice).collect();
    Ok(NodeState {
        log: LogId::from_slice(&row.blob(0)?)?,
        node: NodeId::from_slice(&row.blob(1)?)?,
        former: former?,
        counter: row.number(3)?,
        clock: Timestamp::from_micros(row.number(4)?),
        head: Mark { position: row.number(5)?, hash: Hash::from_slice(&row.blob(6)?)? },
    })
}

pub(crate) async fn look_up(
    connection: &mut SqliteConnection,
    lookup: &Lookup,
    claimed: Claimed,
    known: &mut Known,
) -> Result<()> {
    let failed = from_sqlx(OPERATION);
    if !lookup.ids.is_empty() {
        let ids = array(lookup.ids.iter().map(AsRef::as_ref));
        let mut query = packed::select_known();
        query
            .push(" FROM json_each(")
            .push_bind(ids.clone())
            .push(") j CROSS JOIN entries e ON e.id = j.value AND e.superseded = 0");
        known.entries.extend(packed::known(connection, query, OPERATION).await?);
        if claimed.withdrawn {
            known.withdrawn.extend(claims(connection, "withdrawn", &ids).await?);
        }
        if claimed.others {
            known.others.extend(claims(connection, "other_claims", &ids).await?);
        }
    }
    if !lookup.decisions.is_empty() {
        let sql = "SELECT d.vertex, d.aggregate_id, d.timestamp FROM json_each(?) j CROSS JOIN decisions d ON d.vertex = j.value";
        let rows = sqlx::query(sql).bind(list(&lookup.decisions)).fetch_all(&mut *connection).await;
        for row in rows.map_err(&failed)? {
            let known_decision = (AggregateId::new(row.text(1)?)?, Timestamp::from_micros(row.number(2)?));
            known.decisions.insert(VertexId::new(row.text(0)?)?, known_decision);
        }
    }
    if !lookup.aggregates.is_empty() {
        let mut query = packed::select_heads();
        query
            .push(" FROM json_each(")
            .push_bind(array(lookup.aggregates.iter().map(AsRef::as_ref)))
            .push(") j CROSS JOIN aggregates a ON a.aggregate_id = j.value");
        known.heads.extend(packed::heads(connection, query, OPERATION).await?);
    }
    if !lookup.own_counters.is_empty() {
        own_events(connection, &lookup.own_counters, known).await?;
    }
    if !lookup.events.is_empty() {
        let ids: Vec<EventId> = lookup.events.iter().cloned().collect();
        let found = read::load(connection, &ids).await?;
        known.events.extend(found.into_iter().map(|e| (e.event.id.clone(), e.event)));
    }
    if lookup.quarantine {
        known.quarantine = quarantine(&mut *connection).await?;
    }
    if let Some(log) = lookup.unstamped_from {
        let sql = "SELECT e.aggregate_id, e.id, max(e.counter) FROM json_each(?) j \
                   CROSS JOIN entries e ON e.aggregate_id = j.value AND e.superseded = 0 \
                   WHERE e.origin = ? GROUP BY e.aggregate_id";
        let query = sqlx::query(sql).bind(list(&lookup.aggregates)).bind(log.to_bytes().to_vec());
        for row in query.fetch_all(&mut *connection).await.map_err(&failed)? {
            known.last_unstamped.insert(AggregateId::new(row.text(0)?)?, EventId::new(row.text(1)?)?);
        }
    }
    Ok(())
}

/// The claims of these ids in a table.
async fn claims(
    connection: &mut SqliteConnection,
    table: &'static str,
    ids: &str,
) -> Result<HashMap<EventId, Vec<Claim>>> {
    let sql = format!(
        "SELECT c.id, c.aggregate_id, c.origin, c.counter, c.timestamp, c.parents, c.content \
         FROM json_each(?) j CROSS JOIN {table} c ON c.id = j.value"
    );
    let mut found: HashMap<EventId, Vec<Claim>> = HashMap::new();
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(ids.to_owned());
    for row in query.fetch_all(connection).await.map_err(from_sqlx(OPERATION))? {
        let aggregate = AggregateId::new(row.text(1)?)?;
        let claim = Claim { aggregate, stamp: row.stamp(2)?, content: Hash::from_slice(&row.blob(6)?)? };
        found.entry(EventId::new(row.text(0)?)?).or_default().push(claim);
    }
    Ok(found)
}

/// The vertices of ids of which something was withdrawn in these aggregates, and those ids.
async fn withdrawn(
    connection: &mut SqliteConnection,
    aggregates: &str,
) -> Result<(BTreeSet<EventId>, Vec<(AggregateId, Vertex)>)> {
    let sql = "SELECT w.id FROM json_each(?) j CROSS JOIN withdrawn w ON w.aggregate_id = j.value";
    let rows = sqlx::query(sql).bind(aggregates.to_owned()).fetch_all(&mut *connection).await;
    let mut ids = BTreeSet::new();
    for row in rows.map_err(from_sqlx("read history"))? {
        ids.insert(EventId::new(row.text(0)?)?);
    }
    if ids.is_empty() {
        return Ok((ids, Vec::new()));
    }
    let (node, claimed, _) = node_and_claimed(connection).await?;
    let mut known = Known::of(node);
    look_up(connection, &Lookup::of_ids(ids.clone()), claimed, &mut known).await?;
    Ok((ids, known.withdrawn_vertices().collect()))
}

async fn own_events(
    connection: &mut SqliteConnection,
    counters: &BTreeSet<u64>,
    known: &mut Known,
) -> Result<()> {
    let node = known.node.node.to_bytes().to_vec();
    let numbers = serde_json::Value::from_iter(counters.iter().copied()).to_string();
    let sql = "SELECT s.counter, s.id FROM json_each(?) j CROSS JOIN stamps s ON s.origin = ? AND s.counter = j.value";
    let query = sqlx::query(sql).bind(numbers).bind(node);
    for row in query.fetch_all(connection).await.map_err(from_sqlx(OPERATION))? {
        known.own.insert(row.number(0)?, EventId::new(row.text(1)?)?);
    }
    Ok(())
}

/// The histories of these aggregates, in their order.
pub(crate) async fn vertices(
    connection: &mut SqliteConnection,
    aggregates: &[AggregateId],
) -> Result<Vec<(AggregateId, Vec<Vertex>)>> {
    let mut found: HashMap<AggregateId, Vec<Vertex>> = HashMap::new();
    if aggregates.is_empty() {
        return Ok(Vec::new());
    }
    let names = list(aggregates);
    let (ids, withdrawn) = withdrawn(connection, &names).await?;
    let mut after = 0;
    loop {
        let mut query = packed::select_vertices();
        query.push(" FROM json_each(").push_bind(names.clone()).push(
            ") j CROSS JOIN entries e ON e.aggregate_id = j.value \
             WHERE e.superseded = 0 AND e.position > ",
        );
        query.push_bind(signed(after)).push(" ORDER BY e.position LIMIT ").push_bind(VERTICES_AT_ONCE);
        let batch = packed::vertices(connection, query, "read history").await?;
        let full = batch.len() as i64 == VERTICES_AT_ONCE;
        after = batch.last().map_or(after, |(position, _)| *position);
        let stands = |(_, v): &(AggregateId, Vertex)| ids.is_empty() || !ids.contains(v.id.as_str());
        for (aggregate, vertex) in batch.into_iter().filter_map(|(_, vertex)| vertex).filter(stands) {
            found.entry(aggregate).or_default().push(vertex);
        }
        if !full {
            break;
        }
    }
    for (aggregate, vertex) in withdrawn {
        found.entry(aggregate).or_default().push(vertex);
    }
    let unique = aggregates.iter().collect::<HashSet<_>>().len() == aggregates.len();
    let mut take = |a: &AggregateId| if unique { found.remove(a) } else { found.get(a).cloned() };
    Ok(aggregates.iter().map(|a| (a.clone(), take(a).unwrap_or_default())).collect())
}

pub(crate) async fn quarantine(connection: &mut SqliteConnection) -> Result<Vec<Quarantined>> {
    let failed = from_sqlx("read quarantine");
    let sql = "SELECT side, peer, id, origin, counter, code, detail, position, held FROM quarantine";
    let rows = sqlx::query(sql).fetch_all(connection).await.map_err(&failed)?;
    rows.iter()
        .map(|row| {
            let origin = row.blob(3)?;
            let held: Option<Vec<u8>> = row.try_get(8).map_err(&failed)?;
            Ok(Quarantined {
                side: if row.text(0)? == "held" { QuarantineSide::Held } else { QuarantineSide::Refused },
                peer: LogId::from_slice(&row.blob(1)?)?,
                id: EventId::new(row.text(2)?)?,
                origin: if origin.is_empty() { None } else { Some(NodeId::from_slice(&origin)?) },
                counter: row.number(4)?,
                refusal: Refusal::new(RefusalCode::parse(&row.text(5)?), row.text(6)?),
                position: row.number(7)?,
                held: held.as_deref().map(decode_offered).transpose()?,
            })
        })
        .collect()
}
