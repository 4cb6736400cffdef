//! `synckit export`

use std::io::Write as _;

use synckit::{
    AggregateId, Error, EventStore, Filter,
    core::{ErrorKind, store::ReadRequest},
};

use crate::{
    args::{Export, Since},
    cloudevents,
    failure::{Done, Failure},
    output::{Output, counted},
    stores,
};

const PAGE: usize = 2_000;

pub(super) async fn run(args: Export, out: Output) -> Result<Done, Failure> {
    let Export { at, effective, aggregate, since } = args;
    stores::with_local(&at.store, async |node| {
        let after = position(node.store().as_ref(), since).await?;
        if effective {
            let mut stdout = Output::stdout();
            node.history(aggregate.as_ref(), after, |item| {
                if item.is_effective() {
                    cloudevents::write(&mut stdout, &item.entry.event, &item.entry.stamp)?;
                }
                // What a decision brought along is stamped as the decision is.
                let mut merged = item.merged.iter();
                merged
                    .try_for_each(|e| cloudevents::write(&mut stdout, e, &item.entry.stamp))
                    .map_err(Failure::from)
            })
            .await?;
            stdout.flush()?;
            return Ok(Done::Clean);
        }
        let stubs = everything(node.store().as_ref(), aggregate, after).await?;
        if stubs > 0 {
            out.warn(format!("left out {} held without data", counted(stubs, "event")));
        }
        Ok(Done::Clean)
    })
    .await
}

/// Writes the log. Returns how many stubs were left out.
async fn everything(
    store: &dyn EventStore,
    aggregate: Option<AggregateId>,
    after: u64,
) -> Result<usize, Failure> {
    let mut filter = Filter::everything();
    filter.aggregates.extend(aggregate);
    let mut stdout = Output::stdout();
    let (mut position, mut stubs) = (after, 0);
    loop {
        let request = ReadRequest::after(position).limit(PAGE).filter(filter.clone()).only_counting();
        let page = store.read(request).await?;
        for entry in &page.entries {
            if entry.stub {
                stubs += 1;
            } else {
                cloudevents::write(&mut stdout, &entry.event, &entry.stamp)?;
            }
        }
        if !page.has_more {
            stdout.flush()?;
            return Ok(stubs);
        }
        position = page.next.position;
    }
}

/// The position that a cursor names, if it is one of this log.
async fn position(store: &dyn EventStore, since: Since) -> Result<u64, Failure> {
    let cursor = match since {
        Since::Position(position) => return Ok(position),
        Since::Cursor(cursor) => cursor,
    };
    let log = store.identity().log;
    if cursor.log != log {
        return Err(cursor.foreign(log).into());
    }
    let found = store.hashes(&[cursor.mark.position]).await?.first().copied().flatten();
    if found != Some(cursor.mark.hash) {
        let message = format!(
            "the log {log} is not the one that the cursor was taken from: it {} position {}",
            if found.is_some() { "has another history up to" } else { "does not reach" },
            cursor.mark.position
        );
        return Err(Error::new(ErrorKind::LogChanged, "read cursor", message).into());
    }
    Ok(cursor.mark.position)
}
