//! Reading pages of the log.

use std::collections::{BTreeSet, VecDeque};

use synckit_core::{
    Hash, Lacking, Result,
    store::{LogEntry, LogPage, PageBuilder, ReadRequest},
};

use crate::{keys, lookup, progress, read, schema, view::View};

/// Up to this many entries that a peer lacks are looked for one by one; for more, the log is read through.
const FEW: u64 = 4_096;
/// Positions of aggregates that are looked for at a time.
const POSITIONS: usize = 1_024;

pub(crate) fn page(view: &View<'_>, request: &ReadRequest) -> Result<LogPage> {
    let head = schema::node(view)?.state.head;
    let lacking = match &request.missing_from {
        Some(theirs) => Some(progress::vector(view)?.lacking(theirs)),
        None => None,
    };
    let few = lacking.as_ref().filter(|lacking| lacking.count() <= FEW);
    let mut source = Source::new(view, request, few, lacking.as_ref())?;
    let mut page = PageBuilder::new(request, lacking.as_ref(), head);
    while let Some((position, entry)) = source.next().transpose()? {
        if entry.is_err() && page.is_full() {
            page.end_before(position);
            break;
        }
        // Each row has a checksum.
        if !page.take_verified(entry?) {
            break;
        }
    }
    let hash = match page.end() {
        (_, Some(hash)) => hash,
        (end, None) => read::hashes(view, &[end])?.pop().flatten().unwrap_or(Hash::ZERO),
    };
    Ok(page.finish(hash))
}

/// An entry with its position, which is known of one that is damaged, too.
type Placed = (u64, Result<LogEntry>);

/// Where the entries of a page come from, in the order of their positions.
enum Source<'a> {
    Log(Box<dyn Iterator<Item = Result<Placed>> + 'a>),
    Positions { view: &'a View<'a>, request: &'a ReadRequest, batch: VecDeque<u64>, next: Option<u64> },
}

impl<'a> Source<'a> {
    fn new(
        view: &'a View<'a>,
        request: &'a ReadRequest,
        few: Option<&Lacking>,
        lacking: Option<&Lacking>,
    ) -> Result<Self> {
        if let Some(few) = few {
            let batch = positions(view, few, request.after)?.into();
            return Ok(Self::Positions { view, request, batch, next: None });
        }
        if !request.filter.aggregates.is_empty() {
            return Ok(Self::Positions { view, request, batch: VecDeque::new(), next: Some(request.after) });
        }
        let mut after = request.after;
        if let (Some(lacking), 0) = (lacking, after) {
            after = first_of(view, lacking)?.map_or(u64::MAX, |first| first - 1);
        }
        let log = view.after(&view.tables.entries, &keys::position(after), None);
        Ok(Self::Log(Box::new(log.map(|row| {
            let (key, row) = row?;
            let position = keys::number(&key)?;
            Ok((position, lookup::met(position, &row)))
        }))))
    }

    fn next(&mut self) -> Option<Result<Placed>> {
        match self {
            Self::Log(log) => log.next(),
            Self::Positions { view, request, batch, next } => {
                if batch.is_empty()
                    && let Some(after) = next.take()
                {
                    match of_aggregates(view, request, after) {
                        Ok(found) => *batch = found,
                        Err(e) => return Some(Err(e)),
                    }
                    *next = batch.back().copied();
                }
                batch.pop_front().map(|position| Ok((position, view.entry(position, |entry| entry.entry()))))
            }
        }
    }
}

/// The next positions of the aggregates that are asked for.
fn of_aggregates(view: &View<'_>, request: &ReadRequest, after: u64) -> Result<VecDeque<u64>> {
    let mut found = BTreeSet::new();
    for aggregate in &request.filter.aggregates {
        let (from, to) =
            (keys::aggregate_at(aggregate, after.saturating_add(1)), keys::aggregate_at(aggregate, u64::MAX));
        for key in view.keys_between(&view.tables.positions, &from, &to) {
            let position = keys::number(&key?)?;
            if found.len() >= POSITIONS {
                if found.last().is_none_or(|last| *last <= position) {
                    break;
                }
                found.pop_last();
            }
            found.insert(position);
        }
    }
    Ok(found.into_iter().collect())
}

/// The positions beyond `after` of what is lacking, in order.
fn positions(view: &View<'_>, lacking: &Lacking, after: u64) -> Result<Vec<u64>> {
    let mut positions = BTreeSet::new();
    for (origin, from, to) in lacking.ranges() {
        for stamp in progress::stamps(view, origin, from, to) {
            positions.extend(stamp?.position.filter(|p| *p > after));
        }
    }
    Ok(positions.into_iter().collect())
}

/// The first position of what is lacking.
fn first_of(view: &View<'_>, lacking: &Lacking) -> Result<Option<u64>> {
    let mut first: Option<u64> = None;
    for (origin, from, to) in lacking.ranges() {
        for stamp in progress::stamps(view, origin, from, to) {
            if let Some(position) = stamp?.position {
                first = Some(first.map_or(position, |first| first.min(position)));
            }
        }
    }
    Ok(first)
}
