//! `synckit copy`

use serde_json::json;
use synckit::{
    Backends, Environment,
    maintenance::{Arrival, copy},
    masked,
};

use crate::{
    args::Copy,
    failure::{Done, Failure},
    output::Output,
    progress::Bar,
    stores,
};

pub(super) async fn run(args: Copy, out: Output) -> Result<Done, Failure> {
    if stores::in_memory(args.to.as_str()) {
        return Err(Failure::told(
            "a store in memory would end with this command; name a lasting one with --to",
        ));
    }
    let from = stores::open(&args.from).await?;
    let to = Backends::new().receive_store(args.to.as_str(), &from.identity()).await?;
    let address = masked(args.to.as_str());
    let arrival = if args.as_new_node { Arrival::NewNode } else { Arrival::moved(&*address) };
    let mut bar = Bar::new(out, "copying");
    let copied = copy(&*from, &*to, &arrival, &Environment::default(), |done, all| bar.set(done, all)).await;
    drop(bar);
    let closed = (to.close().await, from.close().await);
    let copied = copied?;
    closed.0?;
    closed.1?;
    if out.json {
        Output::object(&json!({
            "copied": copied.entries,
            "events": copied.total,
            "node": copied.node,
            "log": copied.log,
            "to": address,
            "sealed": !args.as_new_node,
        }))?;
    } else {
        let fate = if args.as_new_node { "it stays as it is" } else { "it is sealed" };
        let old = masked(args.from.as_str());
        Output::text(format!(
            "copied {} of {} events to {}\nnode  {}\nlog   {}\n{old}: {fate}",
            copied.entries,
            copied.total,
            out.strong(&address),
            copied.node,
            copied.log
        ))?;
    }
    Ok(Done::Clean)
}
