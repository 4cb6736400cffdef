//! Single values, checked as they are typed.

use std::{ffi::OsStr, str::FromStr, time::Duration};

use clap::{
    Arg, Command,
    builder::{StringValueParser, TypedValueParser},
    error::ErrorKind,
};
use synckit::{Backends, Error, LogCursor, Timestamp};

/// The URL of a store, of a scheme that is known.
#[derive(Clone)]
pub(crate) struct StoreUrl(String);

impl StoreUrl {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The URL of a peer, of a scheme that is known.
#[derive(Clone)]
pub(crate) struct RemoteUrl(String);

impl RemoteUrl {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads the URLs of stores.
#[derive(Clone)]
pub(super) struct StoreUrls;

/// Reads the URLs of peers.
#[derive(Clone)]
pub(super) struct RemoteUrls;

impl TypedValueParser for StoreUrls {
    type Value = StoreUrl;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<StoreUrl, clap::Error> {
        let url = StringValueParser::new().parse_ref(command, arg, value)?;
        check_scheme(command, arg, &url, &Backends::store_schemes())?;
        Backends::is_lasting(&url).map_err(|error| refusal(command, arg, error.message()))?;
        Ok(StoreUrl(url))
    }
}

impl TypedValueParser for RemoteUrls {
    type Value = RemoteUrl;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<RemoteUrl, clap::Error> {
        let url = StringValueParser::new().parse_ref(command, arg, value)?;
        // Nobody else is in this process.
        let known: Vec<_> = Backends::transport_schemes().into_iter().filter(|s| *s != "mem:").collect();
        check_scheme(command, arg, &url, &known)?;
        Ok(RemoteUrl(url))
    }
}

fn check_scheme(command: &Command, arg: Option<&Arg>, url: &str, known: &[&str]) -> Result<(), clap::Error> {
    if known.iter().any(|scheme| url.starts_with(scheme)) {
        return Ok(());
    }
    let known = known.join(", ");
    // What comes after the scheme may be secret, and what is before a colon need not be a scheme.
    Err(refusal(
        command,
        arg,
        &match url.split_once("://") {
            Some((scheme, _)) => format!("unknown URL scheme {scheme:?}; known schemes are {known}"),
            None => format!("the value begins with no scheme that is known; known schemes are {known}"),
        },
    ))
}

/// A mistake that does not repeat the value, for there may be a password in it.
fn refusal(command: &Command, arg: Option<&Arg>, why: &str) -> clap::Error {
    let name = arg.map_or_else(|| "the URL".to_owned(), ToString::to_string);
    clap::Error::raw(ErrorKind::ValueValidation, format!("invalid value for '{name}': {why}\n"))
        .with_cmd(command)
}

/// Where to begin in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// After this position.
    Position(u64),
    /// After this mark, which must be one of the log.
    Cursor(LogCursor),
}

impl FromStr for Since {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.parse() {
            Ok(position) => Ok(Self::Position(position)),
            Err(_) => text.parse().map(Self::Cursor),
        }
    }
}

/// A name of the kit.
pub(super) fn name<N: FromStr<Err = Error>>(text: &str) -> Result<N, String> {
    text.parse().map_err(|error: Error| error.message().to_owned())
}

pub(super) fn label(text: &str) -> Result<String, String> {
    match text {
        "" => Err("the name is empty".into()),
        text if text.len() > 255 => Err("the name has more than 255 bytes".into()),
        text if text.chars().any(char::is_control) => Err("the name has control characters".into()),
        text => Ok(text.to_owned()),
    }
}

pub(super) fn condition(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((attribute, value)) if !attribute.is_empty() => Ok((attribute.to_owned(), value.to_owned())),
        _ => Err("it has the form ATTR=VALUE, for example source=/airports/EWR".into()),
    }
}

/// A time, as `audit` shows it.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    let wrong = || "it is a time like 2026-01-31T12:00:00Z".to_owned();
    let time: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
    u64::try_from(time.as_microsecond()).map(Timestamp::from_micros).map_err(|_| wrong())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "it is a number with ms, s, m or h, for example 10s".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let (count, seconds) = match unit {
        "ms" => return Ok(Duration::from_millis(number)),
        "s" => (number, 1),
        "m" => (number, 60),
        "h" => (number, 3600),
        _ => return Err(wrong()),
    };
    count.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in
            ["", "10", "s", "1.5s", "-1s", "10 s", "10d", "99999999999999999999s", "9999999999999999999h"]
        {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn cursors_are_marks_or_positions() {
        assert_eq!("17".parse::<Since>().unwrap(), Since::Position(17));
        let cursor = format!("{}.17.{}", "0".repeat(32), "a".repeat(64));
        assert!(matches!(cursor.parse::<Since>().unwrap(), Since::Cursor(c) if c.mark.position == 17));
        assert!("-1".parse::<Since>().is_err());
        assert!("x.1.y".parse::<Since>().is_err());
    }
}
