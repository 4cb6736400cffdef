//! `synckit refused`

use std::io::Write as _;

use serde_json::{Value, json};
use synckit::{
    Backends,
    core::store::{QuarantineSide, Quarantined},
};

use crate::{
    args::{OnlyStore, Refused, RefusedCommand, RefusedEvent, Reissue, Retry},
    failure::{Done, Failure},
    output::{Output, plain, write_object},
    progress::spinning,
    stores,
};

pub(super) async fn run(args: Refused, out: Output) -> Result<Done, Failure> {
    match args.command {
        RefusedCommand::List(args) => list(args, out).await,
        RefusedCommand::Retry(args) => retry(args, out).await,
        RefusedCommand::Withdraw(args) => withdraw(args, out).await,
        RefusedCommand::Reissue(args) => reissue(args, out).await,
    }
}

/// A row of the quarantine.
pub(super) fn as_json(row: &Quarantined) -> Value {
    json!({
        "id": row.id,
        "side": row.side,
        "peer": row.peer,
        "code": row.refusal.code,
        "reason": row.refusal.detail,
        "origin": row.origin,
        "counter": row.counter,
        "position": (row.position > 0).then_some(row.position),
    })
}

async fn list(args: OnlyStore, out: Output) -> Result<Done, Failure> {
    let rows = stores::with_local(&args.store, async |node| Ok(node.refused().await?)).await?;
    if out.json {
        let mut stdout = Output::stdout();
        for row in &rows {
            write_object(&mut stdout, &as_json(row))?;
        }
        stdout.flush()?;
    } else if rows.is_empty() {
        Output::text("nothing was refused")?;
    } else {
        let cells = |row: &Quarantined| {
            let by = match row.side {
                QuarantineSide::Held => "here, from",
                _ => "peer",
            };
            let peer = row.peer.to_string();
            vec![
                row.id.to_string(),
                format!("{by} {}", peer.get(..8).unwrap_or(&peer)),
                row.refusal.code.as_str().to_owned(),
                plain(&row.refusal.detail),
            ]
        };
        let rows: Vec<_> = rows.iter().map(cells).collect();
        Output::text(out.table(&["EVENT", "REFUSED BY", "CODE", "REASON"], &rows))?;
    }
    Ok(Done::Clean)
}

async fn retry(args: Retry, out: Output) -> Result<Done, Failure> {
    let Retry { event: RefusedEvent { id, at }, remote } = args;
    let transport = remote.map(|url| Backends::new().connect(url.as_str())).transpose()?;
    let offered_now = transport.is_some();
    let settle = |builder: synckit::SyncNodeBuilder| match transport {
        Some(transport) => builder.transport(transport),
        None => builder,
    };
    let (refusal, by_peer) = stores::with_node(&at.store, settle, async |node| {
        let by_peer = node.refused().await?.iter().any(|q| q.id == id && q.side == QuarantineSide::Refused);
        Ok((spinning(out, "offering the event again", node.retry_refused(&id)).await?, by_peer))
    })
    .await?;
    let waits = refusal.is_none() && by_peer && !offered_now;
    if out.json {
        let refused = refusal.as_ref().map(|r| json!({"code": r.code, "reason": r.detail}));
        Output::object(&json!({"id": id, "refused": refused, "at_next_sync": waits}))?;
    } else {
        match &refusal {
            Some(refusal) => out.refused(&id, &refusal.detail),
            None if waits => Output::text(format!("{id} will be offered at the next sync"))?,
            None => Output::text(format!("{id} was taken"))?,
        }
    }
    Ok(Done::refused_if(refusal.is_some()))
}

async fn withdraw(args: RefusedEvent, out: Output) -> Result<Done, Failure> {
    let RefusedEvent { id, at } = args;
    stores::with_local(&at.store, async |node| Ok(node.withdraw(&id).await?)).await?;
    if out.json {
        Output::object(&json!({"id": id, "withdrawn": true}))?;
    } else {
        Output::text(format!("{id} was given up"))?;
    }
    Ok(Done::Clean)
}

async fn reissue(args: Reissue, out: Output) -> Result<Done, Failure> {
    let Reissue { event: RefusedEvent { id, at }, new_id } = args;
    stores::with_local(&at.store, async |node| Ok(node.reissue(&id, &new_id).await?)).await?;
    if out.json {
        Output::object(&json!({"id": new_id, "reissues": id}))?;
    } else {
        Output::text(format!("{id} was issued again as {new_id}"))?;
    }
    Ok(Done::Clean)
}
