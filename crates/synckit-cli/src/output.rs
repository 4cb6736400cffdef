//! What people and programs get to read.

use std::{
    fmt::{Display, Write as _},
    io::{self, BufWriter, StdoutLock, Write},
};

use anstyle::{AnsiColor, Style};
use clap::ColorChoice;
use serde::Serialize;
use synckit::Timestamp;
use tracing_subscriber::{EnvFilter, fmt::time::SystemTime};

use crate::{args::Global, failure::Failure};

/// Where results and messages go, and in which form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// Whether results are JSON.
    pub(crate) json: bool,
    /// Whether only errors are said on standard error.
    pub(crate) quiet: bool,
    color: bool,
    color_errors: bool,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        let on = |auto: anstream::ColorChoice| match global.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => auto != anstream::ColorChoice::Never,
        };
        Self {
            json: global.json,
            quiet: global.quiet,
            color: !global.json && on(anstream::AutoStream::choice(&io::stdout())),
            color_errors: on(anstream::AutoStream::choice(&io::stderr())),
        }
    }

    /// Standard output, buffered. It is flushed by whoever writes.
    pub(crate) fn stdout() -> BufWriter<StdoutLock<'static>> {
        BufWriter::with_capacity(64 * 1024, io::stdout().lock())
    }

    /// Writes a result as one line of JSON.
    pub(crate) fn object(value: &impl Serialize) -> Result<(), Failure> {
        let mut out = Self::stdout();
        write_object(&mut out, value)?;
        out.flush()?;
        Ok(())
    }

    /// Writes a result for people.
    pub(crate) fn text(text: impl Display) -> Result<(), Failure> {
        let mut out = Self::stdout();
        writeln!(out, "{text}")?;
        out.flush()?;
        Ok(())
    }

    /// Says what ended the command, on one line.
    pub(crate) fn error(self, failure: &Failure) {
        self.say(AnsiColor::Red, "error", &failure.to_string());
    }

    /// Says something that people should know, on one line.
    pub(crate) fn warn(self, text: impl Display) {
        if !self.quiet {
            self.say(AnsiColor::Yellow, "warning", &text.to_string());
        }
    }

    /// Says what was refused, and why; also when it is to be quiet, for the exit status says so too.
    pub(crate) fn refused(self, what: impl Display, why: &str) {
        let what = format!("{what}: ");
        let text = if why.starts_with(&what) { why.to_owned() } else { what + why };
        self.say(AnsiColor::Yellow, "refused", &text);
    }

    fn say(self, color: AnsiColor, label: &str, text: &str) {
        let style = if self.color_errors { color.on_default().bold() } else { Style::new() };
        // If standard error is closed, there is nobody to tell.
        let _ = writeln!(io::stderr(), "{style}{label}{style:#}: {}", plain(text));
    }

    /// Headings.
    pub(crate) fn strong(self, text: impl Display) -> String {
        self.styled(Style::new().bold(), text)
    }

    /// What matters less.
    pub(crate) fn faint(self, text: impl Display) -> String {
        self.styled(Style::new().dimmed(), text)
    }

    /// What asks for attention.
    pub(crate) fn alert(self, text: impl Display) -> String {
        self.styled(AnsiColor::Yellow.on_default(), text)
    }

    /// What was before, in a comparison.
    pub(crate) fn taken(self, text: impl Display) -> String {
        self.styled(AnsiColor::Red.on_default(), text)
    }

    /// What came instead, in a comparison.
    pub(crate) fn given(self, text: impl Display) -> String {
        self.styled(AnsiColor::Green.on_default(), text)
    }

    fn styled(self, style: Style, text: impl Display) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_string() }
    }

    /// Rows under headings, in columns.
    pub(crate) fn table(self, headings: &[&str], rows: &[Vec<String>]) -> String {
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain(headings.get(column).map(|h| h.chars().count())).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..headings.len()).map(width).collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut line = String::new();
            for (cell, width) in cells.zip(&widths) {
                // Writing to a String cannot fail.
                let _ = write!(line, "{cell:<width$}  ");
            }
            line.trim_end().to_owned()
        };
        let mut text = self.strong(line(&mut headings.iter().copied()));
        for row in rows {
            text.push('\n');
            text.push_str(&line(&mut row.iter().map(String::as_str)));
        }
        text
    }
}

/// Writes a value as one line of JSON.
pub(crate) fn write_object(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// A number of things, as one says it.
pub(crate) fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// A text on one line, and without characters that steer a terminal: it may come from elsewhere.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

/// A timestamp in RFC 3339, UTC, to the microsecond.
pub(crate) fn time(timestamp: Timestamp) -> String {
    let micros = timestamp.as_micros();
    i64::try_from(micros)
        .ok()
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
        .map_or_else(|| format!("{micros} µs after 1970"), |time| format!("{time:.6}"))
}

/// Sends logs to standard error. Flags go before `RUST_LOG`.
pub(crate) fn start_logging(global: &Global, with_times: bool) {
    let by_flags = match (global.quiet, global.verbose) {
        (true, _) => Some("error"),
        (false, 0) => None,
        (false, 1) => Some("info,sqlx=warn"),
        (false, 2) => Some("debug,sqlx=info,hyper=info,hyper_util=info,reqwest=info,rustls=info,h2=info"),
        (false, _) => Some("trace"),
    };
    let by_default = || EnvFilter::new("warn,sqlx=error");
    let filter = match by_flags {
        Some(filter) => EnvFilter::new(filter),
        None if std::env::var_os("RUST_LOG").is_some_and(|v| !v.is_empty()) => {
            EnvFilter::try_from_default_env().unwrap_or_else(|_| by_default())
        }
        None => by_default(),
    };
    let ansi = match global.color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never,
    };
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(ansi)
        .with_target(global.verbose > 1)
        .log_internal_errors(false);
    // It fails only if logs go somewhere already.
    let _ = if with_times || global.verbose > 1 {
        logs.with_timer(SystemTime).try_init()
    } else {
        logs.without_time().try_init()
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(time(Timestamp::from_micros(1_357_035_420_000_007)), "2013-01-01T10:17:00.000007Z");
        assert_eq!(time(Timestamp::from_micros(u64::MAX)), format!("{} µs after 1970", u64::MAX));
    }

    #[test]
    fn texts_from_elsewhere_cannot_steer_the_terminal() {
        assert_eq!(plain("a\nb\u{1b}[2Jc\u{9b}"), "a b\u{fffd}[2Jc\u{fffd}");
    }
}
