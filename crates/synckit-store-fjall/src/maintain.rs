//! Moving what a store holds, and examining it.

use synckit_core::{
    Error, Result,
    plan::{Changes, ClaimOf, KnownStamp, NewHeads, NodeState},
    store::{Rows, Standing, Table},
};

use crate::{
    engine::Engine,
    keys::{self, Kind},
    lookup,
    opening::Writer,
    row::name,
    rows, schema,
    view::View,
    write,
};

/// A change beside the daily work.
pub(crate) enum Step {
    Fill(Box<Changes>),
    Complete(NodeState),
    Seal(String),
}

impl Step {
    /// Does it, in one batch.
    pub(crate) fn run(self, engine: &Engine, writer: &mut Writer) -> Result<()> {
        match self {
            Self::Fill(changes) => fill(engine, writer, &changes),
            Self::Complete(node) => complete(engine, writer, node),
            Self::Seal(successor) => {
                let standing = writer.about.standing.sealed(&successor)?;
                put_about(engine, writer, standing)
            }
        }
    }
}

fn fill(engine: &Engine, writer: &mut Writer, changes: &Changes) -> Result<()> {
    writer.about.standing.may_fill()?;
    let end = writer.node.state.head.position;
    if changes.entries.iter().zip(end + 1..).any(|(entry, position)| entry.position != position) {
        return Err(Error::invalid("fill store", format!("the entries do not follow on position {end}")));
    }
    write::store(engine, &engine.view("fill store"), writer, changes)
}

fn complete(engine: &Engine, writer: &mut Writer, node: NodeState) -> Result<()> {
    writer.about.standing.may_fill()?;
    let head = writer.node.state.head;
    if head != node.head {
        let (has, wanted) = (head.position, node.head.position);
        return Err(Error::invalid(
            "fill store",
            format!("the log ends at position {has}, not at {wanted}, or with another hash"),
        ));
    }
    let (mut after, mut about) = (writer.node.clone(), writer.about.clone());
    after.state = node;
    (about.home, about.standing) = (engine.home(), Standing::Live);
    let mut batch = engine.batch();
    schema::put_node(&mut batch, &after);
    schema::put_about(&mut batch, &about);
    engine.commit(batch, head)?;
    (writer.node, writer.about) = (after, about);
    Ok(())
}

fn put_about(engine: &Engine, writer: &mut Writer, standing: Standing) -> Result<()> {
    let mut about = writer.about.clone();
    about.standing = standing;
    let mut batch = engine.batch();
    schema::put_about(&mut batch, &about);
    engine.commit(batch, writer.node.state.head)?;
    writer.about = about;
    Ok(())
}

/// The rows of a table after a key of the engine's.
pub(crate) fn page(view: &View<'_>, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Rows> {
    let tables = view.tables;
    let (in_table, kind) = match table {
        Table::Heads => (&tables.heads, None),
        Table::KnownStamps => (&tables.stamps, None),
        Table::Decisions => (&tables.small, Some(Kind::Decision)),
        Table::Reviews => (&tables.small, Some(Kind::Review)),
        Table::Withdrawn => (&tables.small, Some(Kind::Withdrawn)),
        Table::OtherClaims => (&tables.small, Some(Kind::Other)),
        other => {
            return Err(Error::invalid("read rows", format!("the table {other:?} is not known here")));
        }
    };
    let start = kind.map(Kind::alone).unwrap_or_default();
    let after = after.unwrap_or(&start);
    if !after.starts_with(&start) {
        return Err(Error::invalid("read rows", "the key is not one that this store gave"));
    }
    let end = kind.map(Kind::end);
    let (mut changes, mut next, mut found) = (Changes::default(), None, 0);
    for row in view.after(in_table, after, end.as_deref()) {
        let (key, value) = row?;
        if !add(view, table, &key, &value, &mut changes)? {
            continue;
        }
        found += 1;
        if found >= limit.max(1) {
            next = Some(key.to_vec());
            break;
        }
    }
    Ok(Rows { changes, next })
}

/// Adds a row to the change that writes it, if it is one of the table's.
fn add(view: &View<'_>, table: Table, key: &[u8], value: &[u8], changes: &mut Changes) -> Result<bool> {
    match table {
        Table::Heads => {
            let conflict = view.get(&view.tables.small, Kind::Conflict.of(key))?;
            changes.heads.push(NewHeads {
                aggregate: name(key)?,
                heads: lookup::heads(value)?,
                conflict: conflict.map(|c| name(&c)).transpose()?,
            });
        }
        Table::KnownStamps => {
            if keys::number(value)? != 0 {
                return Ok(false);
            }
            let (counter, id, share) = keys::shared_of(key)?;
            let origin = keys::origin_of(key)?;
            changes.known_stamps.push(KnownStamp { origin, counter, id: name(id.as_bytes())?, share });
        }
        Table::Decisions => changes.decisions.push(rows::decode_decision(value)?),
        Table::Reviews => changes.reviews.push(rows::decode_review(value)?),
        _ => {
            let claim = rows::decode_claim(value)?;
            let id = key.get(1..).unwrap_or_default().split(|b| *b == 0).next().unwrap_or_default();
            let of = ClaimOf { id: name(id)?, claim };
            if table == Table::Withdrawn { changes.withdrawn.push(of) } else { changes.others.push(of) }
        }
    }
    Ok(true)
}
