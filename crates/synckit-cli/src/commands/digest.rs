//! `synckit digest`

use crate::{
    args::OnlyStore,
    failure::{Done, Failure},
    output::Output,
    progress::spinning,
    stores,
};

pub(super) async fn run(args: OnlyStore, out: Output) -> Result<Done, Failure> {
    let digest = stores::with_local(&args.store, async |node| {
        Ok(spinning(out, "reading the log", node.digest()).await?)
    })
    .await?;
    if out.json {
        Output::object(&digest)?;
    } else {
        Output::text(format!(
            "events  {}\nids     {}\nlog     {}\nview    {}",
            digest.events, digest.ids, digest.log, digest.view
        ))?;
    }
    Ok(Done::Clean)
}
