//! The processes whose memory is measured.

use std::{
    io::{BufRead as _, Write as _},
    path::PathBuf,
};

use serde_json::json;
use synckit::{
    CursorMode,
    store_sqlite::{SqliteConfig, SqliteStore},
};

use crate::{
    peer::{Served, node},
    world::Outcome,
};

/// How much memory this process has resident, in KiB: now, and at most so far.
pub(crate) struct Usage {
    now: u64,
    peak: u64,
}

impl Usage {
    /// None where the system does not say.
    pub(crate) fn now() -> Option<Self> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
        };
        Some(Self { now: field("VmRSS:")?, peak: field("VmHWM:")? })
    }
}

/// The peak so far above what was resident when idle, in MiB.
pub(crate) fn above(idle: &Usage) -> Outcome<f64> {
    let usage = Usage::now().ok_or("this system does not say how much memory a process has")?;
    Ok(usage.peak.saturating_sub(idle.now) as f64 / 1024.0)
}

pub(crate) fn idle() -> Outcome<Usage> {
    Ok(Usage::now().ok_or("this system does not say how much memory a process has")?)
}

pub(crate) fn say(what: &serde_json::Value) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}")?;
    Ok(out.flush()?)
}

pub(crate) fn runtime() -> Outcome<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Serves a store until a line comes in.
pub(crate) fn hub(store: PathBuf) -> Outcome<()> {
    let runtime = runtime()?;
    let hub =
        runtime.block_on(async { Served::start(SqliteStore::open(SqliteConfig::at(store)).await?).await })?;
    let idle = idle()?;
    say(&json!({"url": hub.url}))?;
    std::io::stdin().lock().read_line(&mut String::new())?;
    say(&json!({"above_idle_mib": above(&idle)?}))?;
    runtime.block_on(hub.stop())
}

/// Pulls everything into a new store.
pub(crate) fn client(store: PathBuf, remote: &str, mode: CursorMode) -> Outcome<()> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let store = SqliteStore::create(SqliteConfig::at(store).mode(mode)).await?;
        let client = node(store, remote)?;
        let idle = idle()?;
        let report = client.sync().await?;
        say(&json!({"pulled": report.pulled, "above_idle_mib": above(&idle)?}))?;
        Ok(client.close().await?)
    })
}
