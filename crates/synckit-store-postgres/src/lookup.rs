//! What is known before a write.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sqlx::PgConnection;
use synckit_core::{
    AggregateId, Error, ErrorKind, EventId, LogId, Mark, NodeId, Result, VertexId, decode_offered,
    graph::{Vertex, decode_heads},
    plan::{Known, Lookup, NodeState},
    store::{QuarantineSide, Quarantined, Refusal, RefusalCode, Standing},
};

use crate::{
    error::from_sqlx,
    packed::{self, Fields, rows},
    progress::Recorded,
    read::{self, signed},
};

const OPERATION: &str = "look up";

/// Everything that a write asks for as a rule, as one answer. The first column says what a row is.
///
/// Here as everywhere, `OFFSET 0` keeps a name's look-up inside of the loop over the names: PostgreSQL may turn a plain join
/// around while tables are small, and would keep to that when they are not.
const LOOK_UP: &str = "
SELECT 0 AS kind, e.* FROM unnest($2::text[]) j CROSS JOIN LATERAL (
    SELECT e.id, e.event_type, e.aggregate_id, e.position, e.counter, e.timestamp, e.stub, e.origin, e.parents, e.content
    FROM entries e WHERE e.tenant = $1 AND e.id = j AND NOT e.superseded OFFSET 0) e
UNION ALL SELECT 1, a.aggregate_id, NULL, NULL, NULL, NULL, NULL, NULL, a.heads, NULL, NULL
    FROM unnest($3::text[]) j CROSS JOIN LATERAL (
    SELECT * FROM aggregates a WHERE a.tenant = $1 AND a.aggregate_id = j OFFSET 0) a
UNION ALL SELECT 2, c.id, NULL, c.aggregate_id, NULL, c.counter, c.timestamp, NULL, c.origin, c.parents, c.content
    FROM unnest($2::text[]) j CROSS JOIN LATERAL (
    SELECT * FROM withdrawn c WHERE c.tenant = $1 AND c.id = j OFFSET 0) c
    WHERE EXISTS (SELECT 1 FROM withdrawn WHERE tenant = $1)
UNION ALL SELECT 3, c.id, NULL, c.aggregate_id, NULL, c.counter, c.timestamp, NULL, c.origin, c.parents, c.content
    FROM unnest($2::text[]) j CROSS JOIN LATERAL (
    SELECT * FROM other_claims c WHERE c.tenant = $1 AND c.id = j OFFSET 0) c
    WHERE EXISTS (SELECT 1 FROM other_claims WHERE tenant = $1)
UNION ALL SELECT 4, d.vertex, NULL, d.aggregate_id, NULL, NULL, d.timestamp, NULL, NULL, NULL, NULL
    FROM unnest($4::text[]) j CROSS JOIN LATERAL (
    SELECT * FROM decisions d WHERE d.tenant = $1 AND d.vertex = j OFFSET 0) d
UNION ALL SELECT 5, e.id, NULL, NULL, NULL, e.counter, NULL, NULL, NULL, NULL, NULL
    FROM unnest($6::bigint[]) j CROSS JOIN LATERAL (
    SELECT id, counter FROM entries e WHERE e.tenant = $1 AND e.origin = $5 AND e.counter = j OFFSET 0) e
UNION ALL SELECT 5, s.id, NULL, NULL, NULL, s.counter, NULL, NULL, NULL, NULL, NULL
    FROM unnest($6::bigint[]) j CROSS JOIN LATERAL (
    SELECT id, counter FROM known_stamps s WHERE s.tenant = $1 AND s.origin = $5 AND s.counter = j OFFSET 0) s
UNION ALL SELECT 6, NULL, NULL, NULL, o.counter, o.held, NULL, NULL, o.origin, o.ids, NULL
    FROM unnest($7::bytea[]) j CROSS JOIN LATERAL (
    SELECT * FROM origins o WHERE o.tenant = $1 AND o.origin = j OFFSET 0) o";

/// What is known of the origins that a write may be about.
pub(crate) type Origins = BTreeMap<NodeId, Option<Recorded>>;

/// Names as one parameter; each of them once.
pub(crate) fn list<'a, T: AsRef<str> + 'a>(texts: impl IntoIterator<Item = &'a T>) -> Vec<&'a str> {
    let unique: BTreeSet<&str> = texts.into_iter().map(AsRef::as_ref).collect();
    unique.into_iter().collect()
}

/// The node as it is now.
pub(crate) async fn node(connection: &mut PgConnection, tenant: i32) -> Result<NodeState> {
    let sql =
        "SELECT log, node, former, counter, clock, position, hash, standing FROM tenants WHERE tenant = $1";
    select(connection, tenant, sql).await.map(|(node, _)| node)
}

/// The node, and whether its log may be written to. Nobody else changes either until the transaction ends.
pub(crate) async fn lock(connection: &mut PgConnection, tenant: i32) -> Result<(NodeState, Standing)> {
    let sql = "SELECT log, node, former, counter, clock, position, hash, standing FROM tenants WHERE tenant = $1 \
               FOR UPDATE";
    select(connection, tenant, sql).await
}

pub(crate) async fn standing(connection: &mut PgConnection, tenant: i32) -> Result<Standing> {
    let sql =
        "SELECT log, node, former, counter, clock, position, hash, standing FROM tenants WHERE tenant = $1";
    select(connection, tenant, sql).await.map(|(_, standing)| standing)
}

async fn select(
    connection: &mut PgConnection,
    tenant: i32,
    sql: &'static str,
) -> Result<(NodeState, Standing)> {
    let row = sqlx::query(sql).bind(tenant).fetch_optional(connection).await.map_err(from_sqlx(OPERATION))?;
    let row =
        row.ok_or_else(|| Error::new(ErrorKind::NotFound, OPERATION, "the tenant is not there any more"))?;
    packed::row(&row, node_and_standing)
}

fn node_and_standing(row: &Fields<'_>) -> Result<(NodeState, Standing)> {
    let former: Result<Vec<NodeId>> = row.bytes(2)?.chunks(16).map(NodeId::from_slice).collect();
    let node = NodeState {
        log: LogId::from_slice(row.bytes(0)?)?,
        node: NodeId::from_slice(row.bytes(1)?)?,
        former: former?,
        counter: row.number(3)?,
        clock: row.timestamp(4)?,
        head: Mark { position: row.number(5)?, hash: row.hash(6)? },
    };
    Ok((node, Standing::parse(row.text(7)?)?))
}

pub(crate) async fn look_up(
    connection: &mut PgConnection,
    tenant: i32,
    lookup: &Lookup,
    known: &mut Known,
    origins: &mut Origins,
) -> Result<()> {
    let new_origins: Vec<[u8; 16]> =
        origins.iter().filter(|(_, known)| known.is_none()).map(|(origin, _)| origin.to_bytes()).collect();
    let nothing = lookup.ids.is_empty() && lookup.aggregates.is_empty() && lookup.decisions.is_empty();
    if !(nothing && lookup.own_counters.is_empty() && new_origins.is_empty()) {
        let found = sqlx::query(LOOK_UP)
            .bind(tenant)
            .bind(list(&lookup.ids))
            .bind(list(&lookup.aggregates))
            .bind(list(&lookup.decisions))
            .bind(known.node.node.to_bytes())
            .bind(lookup.own_counters.iter().map(|c| signed(*c)).collect::<Vec<i64>>())
            .bind(new_origins.iter().map(|o| o.as_slice()).collect::<Vec<_>>())
            .fetch_all(&mut *connection)
            .await
            .map_err(from_sqlx(OPERATION))?;
        known.entries.reserve(found.len());
        for row in &found {
            packed::row(row, |row| take(row, known, origins))?;
        }
        origins.values_mut().for_each(|origin| *origin = Some(origin.unwrap_or_default()));
    }
    if !lookup.events.is_empty() {
        let ids: Vec<EventId> = lookup.events.iter().cloned().collect();
        let found = read::load(connection, tenant, &ids).await?;
        known.events.extend(found.into_iter().map(|e| (e.event.id.clone(), e.event)));
    }
    if lookup.quarantine {
        known.quarantine = quarantine(connection, tenant).await?;
    }
    if let Some(log) = lookup.unstamped_from {
        let sql = "SELECT j, e.id FROM unnest($2::text[]) j CROSS JOIN LATERAL (SELECT e.id FROM entries e \
                   WHERE e.tenant = $1 AND e.aggregate_id = j AND NOT e.superseded AND e.origin = $3 \
                   ORDER BY e.counter DESC LIMIT 1) e";
        let query = sqlx::query(sql).bind(tenant).bind(list(&lookup.aggregates)).bind(log.to_bytes());
        let found = query.fetch_all(connection).await.map_err(from_sqlx(OPERATION))?;
        let last = |row: &Fields<'_>| Ok((AggregateId::new(row.text(0)?)?, EventId::new(row.text(1)?)?));
        known.last_unstamped.extend(rows(&found, last)?);
    }
    Ok(())
}

/// Takes a row of [`LOOK_UP`].
fn take(row: &Fields<'_>, known: &mut Known, origins: &mut Origins) -> Result<()> {
    match row.integer(0)? {
        0 => known.entries.extend([packed::known_entry(row)?]),
        1 => known.heads.extend([(AggregateId::new(row.text(1)?)?, decode_heads(row.bytes(8)?)?)]),
        kind @ (2 | 3) => {
            let (id, claim) = packed::claim(row)?;
            let claims = if kind == 2 { &mut known.withdrawn } else { &mut known.others };
            claims.entry(id).or_default().push(claim);
        }
        4 => {
            let decision = (AggregateId::new(row.text(3)?)?, row.timestamp(6)?);
            known.decisions.insert(VertexId::new(row.text(1)?)?, decision);
        }
        5 => known.own.extend([(row.number(5)?, EventId::new(row.text(1)?)?)]),
        _ => {
            let recorded = Recorded::read(row, [4, 5, 9])?;
            origins.insert(NodeId::from_slice(row.bytes(8)?)?, Some(recorded));
        }
    }
    Ok(())
}

/// The vertices of ids of which something was withdrawn in these aggregates, and those ids.
async fn withdrawn(
    connection: &mut PgConnection,
    tenant: i32,
    aggregates: &[&str],
) -> Result<(BTreeSet<EventId>, Vec<(AggregateId, Vertex)>)> {
    let sql = "SELECT w.id FROM unnest($2::text[]) j CROSS JOIN LATERAL \
               (SELECT w.id FROM withdrawn w WHERE w.tenant = $1 AND w.aggregate_id = j OFFSET 0) w";
    let query = sqlx::query(sql).bind(tenant).bind(aggregates);
    let found = query.fetch_all(&mut *connection).await.map_err(from_sqlx("read history"))?;
    let ids: BTreeSet<EventId> = rows(&found, |row| EventId::new(row.text(0)?))?.into_iter().collect();
    if ids.is_empty() {
        return Ok((ids, Vec::new()));
    }
    let mut known = Known::of(node(connection, tenant).await?);
    look_up(connection, tenant, &Lookup::of_ids(ids.clone()), &mut known, &mut Origins::new()).await?;
    Ok((ids, known.withdrawn_vertices().collect()))
}

/// The histories of these aggregates, in their order.
pub(crate) async fn vertices(
    connection: &mut PgConnection,
    tenant: i32,
    aggregates: &[AggregateId],
) -> Result<Vec<(AggregateId, Vec<Vertex>)>> {
    if aggregates.is_empty() {
        return Ok(Vec::new());
    }
    let names = list(aggregates);
    let (ids, withdrawn) = withdrawn(connection, tenant, &names).await?;
    let sql = format!(
        "SELECT e.* FROM unnest($2::text[]) j CROSS JOIN LATERAL (SELECT {} FROM entries e \
         WHERE e.tenant = $1 AND e.aggregate_id = j AND NOT e.superseded OFFSET 0) e",
        packed::VERTEX
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(tenant).bind(names);
    let mut placed = {
        use futures_util::TryStreamExt as _;
        let mut placed = Vec::new();
        let mut stream = query.fetch(&mut *connection);
        while let Some(row) = stream.try_next().await.map_err(from_sqlx("read history"))? {
            placed.push(packed::row(&row, packed::vertex)?);
        }
        placed
    };
    placed.sort_by_key(|(position, _)| *position);
    let mut found: HashMap<AggregateId, Vec<Vertex>> = HashMap::new();
    let stands = |(_, v): &(AggregateId, Vertex)| ids.is_empty() || !ids.contains(v.id.as_str());
    for (aggregate, vertex) in placed.into_iter().filter_map(|(_, v)| v).filter(stands).chain(withdrawn) {
        found.entry(aggregate).or_default().push(vertex);
    }
    let unique = aggregates.iter().collect::<HashSet<_>>().len() == aggregates.len();
    let mut take = |a: &AggregateId| if unique { found.remove(a) } else { found.get(a).cloned() };
    Ok(aggregates.iter().map(|a| (a.clone(), take(a).unwrap_or_default())).collect())
}

pub(crate) async fn quarantine(connection: &mut PgConnection, tenant: i32) -> Result<Vec<Quarantined>> {
    let sql = "SELECT side, peer, id, origin, counter, code, detail, position, held FROM quarantine WHERE tenant = $1";
    let query = sqlx::query(sql).bind(tenant);
    let found = query.fetch_all(connection).await.map_err(from_sqlx("read quarantine"))?;
    rows(&found, |row| {
        let origin = row.bytes(3)?;
        Ok(Quarantined {
            side: if row.text(0)? == "held" { QuarantineSide::Held } else { QuarantineSide::Refused },
            peer: LogId::from_slice(row.bytes(1)?)?,
            id: EventId::new(row.text(2)?)?,
            origin: if origin.is_empty() { None } else { Some(NodeId::from_slice(origin)?) },
            counter: row.number(4)?,
            refusal: Refusal::new(RefusalCode::parse(row.text(5)?), row.text(6)?),
            position: row.number(7)?,
            held: row.optional(8).map(decode_offered).transpose()?,
        })
    })
}
