//! Writers that are killed in the middle of a batch.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use synckit_core::{
    Event, EventStore, Result,
    store::{ReadRequest, Write},
};

use crate::subject::all_entries;

/// Events in one batch.
const BATCH: usize = 50;

fn event(number: u64) -> Result<Event> {
    Event::new("counted", format!("a-{}", number % 7), &"x".repeat(300))?.with_id(format!("e-{number}"))
}

/// Appends batch after batch until the process is killed, and says on standard output how far it got, each time that a
/// batch was acknowledged. For the child of [`kill_writers`].
///
/// # Errors
/// Any error of the store, or of standard output.
pub async fn write_until_killed(store: &dyn EventStore) -> Result<()> {
    let mut next = store.head().await?.position;
    loop {
        let batch: Result<Vec<Event>> = (next..next + BATCH as u64).map(event).collect();
        next += store.write(Write::Append(batch?)).await?.accepted() as u64;
        let mut out = std::io::stdout().lock();
        let told = writeln!(out, "acknowledged {next}").and_then(|()| out.flush());
        told.map_err(|e| synckit_core::Error::invalid("test", "nobody listens").with_source(e))?;
    }
}

/// Starts a child that calls [`write_until_killed`], kills it in the middle of its work, and looks at what it left: all that
/// was acknowledged is there, a batch that was not is there as a whole or not at all, and an examination finds nothing wrong.
/// Again and again, on one store.
///
/// `open` opens the store that the child writes to; it is closed before the next child begins.
///
/// # Panics
/// If anything of that is not so.
pub async fn kill_writers(
    rounds: u32,
    mut child: impl FnMut() -> Command,
    mut open: impl AsyncFnMut() -> Arc<dyn EventStore>,
) {
    let mut held = 0;
    for round in 0..rounds {
        let mut writer = child().stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(std::io::Result::ok);
        let number = |line: &String| line.strip_prefix("acknowledged ").and_then(|n| n.parse::<u64>().ok());
        let first = lines.by_ref().find_map(|line| number(&line));
        assert!(first.is_some(), "round {round}: the writer acknowledged nothing");
        // Some microseconds into the work on one of the next batches.
        std::thread::sleep(Duration::from_micros(u64::from(round) * 613 % 20_000));
        writer.kill().unwrap();
        writer.wait().unwrap();
        let acknowledged = lines.filter_map(|line| number(&line)).last().or(first).unwrap_or(held);
        let store = open().await;
        let entries = all_entries(&*store, &ReadRequest::default()).await;
        let length = entries.len() as u64;
        assert!(
            length >= acknowledged,
            "round {round}: {acknowledged} were acknowledged, {length} are there"
        );
        assert_eq!(length % BATCH as u64, 0, "round {round}: a batch is there by half");
        for (number, entry) in (0..).zip(&entries) {
            assert_eq!(entry.event.id.as_str(), format!("e-{number}"), "round {round}");
        }
        crate::store::check(&*store).await;
        store.close().await.unwrap();
        held = length;
    }
}
