//! `synckit status`

use serde_json::{Value, json};
use synckit::{
    Timestamp,
    node::{PeerStatus, Status},
};

use super::refused;
use crate::{
    args::OnlyStore,
    failure::{Done, Failure},
    output::{Output, plain, time},
    stores,
};

pub(super) async fn run(args: OnlyStore, out: Output) -> Result<Done, Failure> {
    let status = stores::with_local(&args.store, async |node| Ok(node.status().await?)).await?;
    if out.json {
        Output::object(&as_json(&status))?;
    } else {
        Output::text(for_people(out, &status))?;
    }
    Ok(Done::Clean)
}

fn synced_at(peer: &PeerStatus) -> Option<String> {
    (peer.synced_at != Timestamp::default()).then(|| time(peer.synced_at))
}

fn as_json(status: &Status) -> Value {
    let peer = |peer: &PeerStatus| {
        json!({
            "address": peer.address,
            "log": peer.log,
            "pulled_to": peer.pulled_to,
            "head_seen": peer.head_seen,
            "to_pull": peer.to_pull,
            "pushed_to": peer.pushed_to,
            "to_push": peer.to_push,
            "synced_at": synced_at(peer),
        })
    };
    json!({
        "node": status.node,
        "label": status.label,
        "mode": status.mode,
        "log": status.head.log,
        "head": status.head.to_string(),
        "former": status.former,
        "peers": status.peers.iter().map(peer).collect::<Vec<_>>(),
        "conflicts": status.conflicts,
        "moved_to": status.moved_to,
        "refused": status.refused.iter().map(refused::as_json).collect::<Vec<_>>(),
    })
}

fn for_people(out: Output, status: &Status) -> String {
    let count = |n: u64, text: String| if n > 0 { out.alert(text) } else { text };
    let mut lines = vec![
        format!("node       {}  {} ({} mode)", status.node, out.strong(plain(&status.label)), status.mode),
        format!("head       {}", status.head),
        format!("events     {}", status.head.mark.position),
        format!("conflicts  {}", count(status.conflicts, format!("{} open", status.conflicts))),
        format!("refused    {}", count(status.refused.len() as u64, status.refused.len().to_string())),
    ];
    lines.extend(status.former.iter().map(|former| format!("formerly   {former}")));
    if let Some(successor) = &status.moved_to {
        lines.push(out.alert(format!("moved to   {}; nothing is written here any more", plain(successor))));
    }
    if status.peers.is_empty() {
        lines.push("peers      none met yet".into());
        return lines.join("\n");
    }
    let behind =
        |at: u64, to_do: u64| if to_do == 0 { at.to_string() } else { format!("{at} ({to_do} to go)") };
    let rows: Vec<Vec<String>> = status
        .peers
        .iter()
        .map(|peer| {
            vec![
                plain(&peer.address),
                behind(peer.pulled_to, peer.to_pull),
                behind(peer.pushed_to, peer.to_push),
                synced_at(peer).unwrap_or_else(|| "never".into()),
            ]
        })
        .collect();
    lines.push(String::new());
    lines.push(out.table(&["PEER", "PULLED TO", "PUSHED TO", "LAST SYNC"], &rows));
    lines.join("\n")
}
