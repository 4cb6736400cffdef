//! Reading pages of the log.

use std::collections::BTreeSet;

use rusqlite::{Connection, Params, Row};
use synckit_core::{
    AggregateId, Error, Hash, Lacking, LogId, Mark, NodeId, Result,
    store::{LogPage, PageBuilder, ReadRequest},
};

use crate::{
    error::failed,
    lookup, progress,
    query::{each, one},
    read::hashes,
    row::{Columns as _, entry, signed},
};

const OPERATION: &str = "read";
/// Up to this many entries that a peer lacks are looked for one by one; for more, the log is read through.
const FEW: u64 = 4_096;
/// Positions of aggregates that are looked for at a time.
const POSITIONS: usize = 1_024;

pub(crate) fn page(connection: &Connection, request: &ReadRequest) -> Result<LogPage> {
    let head = lookup::node(connection)?.head;
    let lacking = match &request.missing_from {
        Some(theirs) => Some(progress::vector(connection)?.lacking(theirs)),
        None => None,
    };
    let mut page = PageBuilder::new(request, lacking.as_ref(), head);
    match &lacking {
        Some(few) if few.count() <= FEW => {
            take_all(connection, &mut page, positions(connection, few, request.after)?)?
        }
        _ => go_through(connection, request, lacking.as_ref(), &mut page)?,
    }
    let (end, hash) = page.end();
    let hash = match hash {
        Some(hash) => hash,
        None => hashes(connection, &[end])?.pop().flatten().unwrap_or(Hash::ZERO),
    };
    Ok(page.finish(hash))
}

/// Goes through the log, or through what it has of the aggregates that are asked for.
fn go_through(
    connection: &Connection,
    request: &ReadRequest,
    lacking: Option<&Lacking>,
    page: &mut PageBuilder<'_>,
) -> Result<()> {
    match request.filter.aggregates.as_slice() {
        [] => {
            let after = match (lacking, request.after) {
                (Some(lacking), 0) => match first_of(connection, lacking)? {
                    Some(first) => first - 1,
                    None => return Ok(()),
                },
                (_, after) => after,
            };
            let sql =
                concat!("SELECT ", entry_columns!(), " FROM entries WHERE position > ? ORDER BY position");
            take_rows(connection, page, sql, [signed(after)]).map(drop)
        }
        [only] => {
            let sql = concat!(
                "SELECT ",
                entry_columns!(),
                " FROM entries WHERE aggregate_id = ? AND position > ? ORDER BY position"
            );
            take_rows(connection, page, sql, (only.as_str(), signed(request.after))).map(drop)
        }
        several => {
            let mut after = request.after;
            loop {
                let next = of_aggregates(connection, several, after)?;
                let Some(last) = next.last() else { return Ok(()) };
                after = *last;
                if !take_positions(connection, page, next)? {
                    return Ok(());
                }
            }
        }
    }
}

fn take_all(connection: &Connection, page: &mut PageBuilder<'_>, positions: BTreeSet<u64>) -> Result<()> {
    take_positions(connection, page, positions).map(drop)
}

/// Takes the entries at these positions, until the page is complete; false if it is.
fn take_positions(
    connection: &Connection,
    page: &mut PageBuilder<'_>,
    positions: BTreeSet<u64>,
) -> Result<bool> {
    let sql = concat!("SELECT ", entry_columns!(), " FROM entries WHERE position = ?");
    for position in positions {
        if !take_rows(connection, page, sql, [signed(position)])? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes rows of entries, until the page is complete; false if it is.
fn take_rows(
    connection: &Connection,
    page: &mut PageBuilder<'_>,
    sql: &str,
    params: impl Params,
) -> Result<bool> {
    let failed = failed(OPERATION);
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(params).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        if !take_row(page, row).map_err(Error::of_stored_row)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn take_row(page: &mut PageBuilder<'_>, row: &Row<'_>) -> Result<bool> {
    let position = row.number(0)?;
    // After a pull, the log has little else than what is not to be sent back.
    let origin = NodeId::from_slice(row.blob(7)?)?;
    let from = row.optional_blob(13)?.map(LogId::from_slice).transpose()?;
    if !page.may_want(position, origin, row.number(8)?, row.number(14)? != 0, from) {
        page.pass(Mark { position, hash: Hash::from_slice(row.blob(12)?)? });
        return Ok(true);
    }
    match entry(row) {
        Ok(entry) => page.take(entry),
        Err(_) if page.is_full() => {
            page.end_before(position);
            Ok(false)
        }
        Err(damaged) => Err(damaged),
    }
}

/// The next positions of these aggregates.
fn of_aggregates(connection: &Connection, aggregates: &[AggregateId], after: u64) -> Result<BTreeSet<u64>> {
    let sql =
        "SELECT position FROM entries WHERE aggregate_id = ? AND position > ? ORDER BY position LIMIT ?";
    let mut found = BTreeSet::new();
    for aggregate in aggregates {
        each(connection, OPERATION, sql, (aggregate.as_str(), signed(after), POSITIONS as i64), |row| {
            found.insert(row.number(0)?);
            Ok(())
        })?;
        while found.len() > POSITIONS {
            found.pop_last();
        }
    }
    Ok(found)
}

/// The positions beyond `after` of what is lacking.
fn positions(connection: &Connection, lacking: &Lacking, after: u64) -> Result<BTreeSet<u64>> {
    let sql = "SELECT position FROM stamps WHERE origin = ? AND counter BETWEEN ? AND ? AND position > ?";
    let mut found = BTreeSet::new();
    for (origin, from, to) in lacking.ranges() {
        let range = (origin.to_bytes(), signed(from), signed(to), signed(after));
        each(connection, OPERATION, sql, range, |row| {
            found.insert(row.number(0)?);
            Ok(())
        })?;
    }
    Ok(found)
}

/// The first position of an entry among them.
fn first_of(connection: &Connection, lacking: &Lacking) -> Result<Option<u64>> {
    let sql = "SELECT ifnull(min(position), 0) FROM stamps WHERE origin = ? AND counter BETWEEN ? AND ?";
    let mut first: Option<u64> = None;
    for (origin, from, to) in lacking.ranges() {
        let range = (origin.to_bytes(), signed(from), signed(to));
        let position = one(connection, OPERATION, sql, range, |row| row.number(0))?;
        first = [first, Some(position).filter(|p| *p > 0)].into_iter().flatten().min();
    }
    Ok(first)
}
