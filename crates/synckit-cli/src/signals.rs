//! SIGINT and SIGTERM.

use std::{io, time::Duration};

use tokio::sync::watch;

/// How long a command may take to put its things away after a signal.
const PATIENCE: Duration = Duration::from_secs(3);

/// A signal that ends commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    #[cfg_attr(not(unix), allow(dead_code, reason = "only Unix has it"))]
    Terminate,
}

impl Signal {
    /// What shells report for a command that this signal ended.
    pub(crate) const fn exit_status(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// Watches for signals. The second one ends the process at once.
pub(crate) struct Signals(watch::Receiver<Option<Signal>>);

impl Signals {
    /// Begins to watch. With `hasty`, the process ends some seconds after the first signal even if the command hangs:
    /// it may be writing to a pipe that nobody empties.
    pub(crate) fn listen(hasty: bool) -> io::Result<Self> {
        let mut source = Source::new()?;
        let (first, received) = watch::channel(None);
        tokio::spawn(async move {
            let signal = source.next().await;
            first.send_replace(Some(signal));
            if hasty {
                // Either way the time is over.
                let second = tokio::time::timeout(PATIENCE, source.next()).await.unwrap_or(signal);
                std::process::exit(second.exit_status().into());
            }
            std::process::exit(source.next().await.exit_status().into());
        });
        Ok(Self(received))
    }

    /// The first signal, once it has come.
    pub(crate) async fn first(&mut self) -> Signal {
        loop {
            if let Some(signal) = *self.0.borrow_and_update() {
                return signal;
            }
            if self.0.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

#[cfg(unix)]
struct Source {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Source {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}

#[cfg(not(unix))]
struct Source;

#[cfg(not(unix))]
impl Source {
    #[allow(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }
}
