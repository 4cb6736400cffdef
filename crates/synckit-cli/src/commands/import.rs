//! `synckit import`

use std::{io::BufRead, path::Path};

use serde::Serialize;
use synckit::{Event, core::store::Outcome};
use tokio::sync::mpsc;

use crate::{
    args::Import,
    cloudevents::{self, MAX_LINE_BYTES},
    failure::{Done, Failure},
    lines::{self, Line, Lines},
    output::{Output, counted},
    progress::Counter,
    stores,
};

/// Events that are written in one transaction.
const BATCH_EVENTS: usize = 4_000;
const BATCH_BYTES: usize = 8 << 20;
/// Batches that are read ahead while one is written.
const READ_AHEAD: usize = 2;

#[derive(Default, Serialize)]
struct Report {
    accepted: usize,
    duplicates: usize,
    refused: Vec<RefusedLine>,
}

#[derive(Serialize)]
struct RefusedLine {
    line: u64,
    reason: String,
}

#[derive(Default)]
struct Batch {
    events: Vec<Event>,
    /// The line of each event.
    lines: Vec<u64>,
    bytes: usize,
    refused: Vec<RefusedLine>,
}

impl Batch {
    fn refuse(&mut self, line: u64, reason: impl Into<String>) {
        self.refused.push(RefusedLine { line, reason: reason.into() });
    }

    const fn is_full(&self) -> bool {
        self.events.len() >= BATCH_EVENTS || self.bytes >= BATCH_BYTES || self.refused.len() >= BATCH_EVENTS
    }
}

pub(super) async fn run(args: Import, out: Output) -> Result<Done, Failure> {
    let Import { at, conditions, file } = args;
    let report = stores::with_local(&at.store, async |node| {
        let (batches, mut read) = mpsc::channel(READ_AHEAD);
        let reader = tokio::task::spawn_blocking(move || {
            let source = lines::open(&file).map_err(|e| unreadable(&file, &e))?;
            read_all(source, &conditions, &batches);
            Ok::<(), Failure>(())
        });
        let mut report = Report::default();
        let mut counter = Counter::new(out, "events");
        while let Some(batch) = read.recv().await {
            let Batch { events, lines, refused, .. } = batch;
            counter.add(events.len());
            report.refused.extend(refused);
            if events.is_empty() {
                continue;
            }
            let written = node.append(events).await?;
            report.accepted += written.accepted();
            report.duplicates += written.duplicates();
            let outcomes = lines.into_iter().zip(&written.outcomes);
            report.refused.extend(outcomes.filter_map(|(line, outcome)| match outcome {
                Outcome::Refused(refusal) => Some(RefusedLine { line, reason: refusal.detail.clone() }),
                _ => None,
            }));
        }
        reader.await.map_err(|e| Failure::told(format!("reading stopped: {e}")))??;
        report.refused.sort_by_key(|r| r.line);
        Ok(report)
    })
    .await?;
    if out.json {
        Output::object(&report)?;
    } else {
        report.refused.iter().for_each(|r| out.refused(format!("line {}", r.line), &r.reason));
        Output::text(format!(
            "imported {}; {} already there; {} refused",
            out.strong(counted(report.accepted, "event")),
            report.duplicates,
            counted(report.refused.len(), "line"),
        ))?;
    }
    Ok(Done::refused_if(!report.refused.is_empty()))
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    let name = if file.as_os_str() == "-" { "standard input".into() } else { file.to_string_lossy() };
    Failure::told(format!("{name} cannot be read: {error}"))
}

/// Reads to the end, or until nobody wants more. A source that fails ends with a refused line.
fn read_all(source: impl BufRead, conditions: &[(String, String)], batches: &mpsc::Sender<Batch>) {
    let mut lines = Lines::new(source, MAX_LINE_BYTES);
    let mut batch = Batch::default();
    loop {
        let number = lines.number() + 1;
        match lines.next() {
            Ok(None) => break,
            Ok(Some(Line::TooLong)) => {
                batch.refuse(number, format!("the line has more than {MAX_LINE_BYTES} bytes"));
            }
            Ok(Some(Line::Whole(line))) => {
                let line =
                    if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                match cloudevents::read(line, conditions) {
                    Ok(None) => continue,
                    Ok(Some(event)) => {
                        batch.bytes += line.len();
                        batch.lines.push(number);
                        batch.events.push(event);
                    }
                    Err(reason) => batch.refuse(number, reason),
                }
            }
            Err(error) => {
                batch.refuse(number, format!("nothing can be read from here on: {error}"));
                break;
            }
        }
        if batch.is_full() && batches.blocking_send(std::mem::take(&mut batch)).is_err() {
            return;
        }
    }
    // If nobody receives it, the command has failed already.
    let _ = batches.blocking_send(batch);
}
