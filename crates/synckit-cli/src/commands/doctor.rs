//! `synckit doctor`

use serde_json::json;
use synckit::{Backends, Environment, Error, ErrorKind, maintenance::examine, masked};

use crate::{
    args::OnlyStore,
    failure::{Done, Failure},
    output::Output,
    progress::Bar,
    stores,
};

const UNREADABLE: &str = "put the store aside, and restore it from a backup, or make a new one and sync it with a hub or node \
                          that has the events";

pub(super) async fn run(args: OnlyStore, out: Output) -> Result<Done, Failure> {
    if stores::in_memory(args.store.as_str()) {
        return Err(Failure::told("a store in memory ends with each command; there is nothing to examine"));
    }
    let store = match Backends::new().open_store(args.store.as_str()).await {
        Ok(store) => store,
        Err(error) => return unreadable(&args, out, error),
    };
    let mut bar = Bar::new(out, "examining");
    let examined = examine(&*store, &Environment::default(), |done, all| bar.set(done, all)).await;
    drop(bar);
    let closed = store.close().await;
    let examined = match examined {
        Err(error) if error.kind() == ErrorKind::Corrupt => return unreadable(&args, out, error),
        examined => examined?,
    };
    closed?;
    let well = examined.findings.is_empty();
    if out.json {
        Output::object(&json!({
            "well": well,
            "events": examined.entries,
            "aggregates": examined.aggregates,
            "standing": format!("{:?}", examined.standing).to_lowercase(),
            "findings": examined.findings,
        }))?;
    } else if well {
        let (events, aggregates) = (examined.entries, examined.aggregates);
        Output::text(format!("{}: {events} events of {aggregates} aggregates", out.strong("all is well")))?;
    } else {
        let lines =
            examined.findings.iter().map(|f| format!("{}: {f}\n  mend: {}", out.alert(f.kind), f.mend));
        Output::text(lines.collect::<Vec<_>>().join("\n"))?;
    }
    Ok(Done::refused_if(!well))
}

/// A store that cannot even be opened, because it is damaged.
fn unreadable(args: &OnlyStore, out: Output, error: Error) -> Result<Done, Failure> {
    if error.kind() != ErrorKind::Corrupt {
        return Err(error.into());
    }
    if out.json {
        let finding = json!({ "kind": "unreadable", "what": error.to_string(), "mend": UNREADABLE });
        Output::object(&json!({ "well": false, "findings": [finding] }))?;
    } else {
        let store = masked(args.store.as_str());
        Output::text(format!("{}: {store}: {error}\n  mend: {UNREADABLE}", out.alert("unreadable")))?;
    }
    Ok(Done::Refused)
}
