//! Patterns for names.

use regex_lite::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::show::shortened;

const MAX_PATTERN_BYTES: usize = 1_000;
const MAX_COMPILED_BYTES: usize = 64 << 10;

/// Why a spec cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A pattern is too long.
    #[error("the pattern {pattern} has {bytes} bytes; at most {MAX_PATTERN_BYTES} are allowed")]
    TooLong {
        /// The beginning of the pattern, quoted.
        pattern: String,
        /// How long it is.
        bytes: usize,
    },
    /// A glob is malformed.
    #[error("the glob {pattern} is malformed: {problem}")]
    Glob {
        /// The pattern, quoted and perhaps cut short.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A regular expression is malformed or too large.
    #[error("the regular expression {pattern} is not usable: {problem}")]
    Regex {
        /// The pattern, quoted and perhaps cut short.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
}

fn quoted(pattern: &str) -> String {
    shortened(&format!("{pattern:?}"))
}

fn check_length(pattern: &str) -> Result<(), SpecError> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(SpecError::TooLong { pattern: quoted(pattern), bytes: pattern.len() });
    }
    Ok(())
}

/// A regular expression of bounded size.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Pattern(Regex);

impl Pattern {
    pub(super) fn new(pattern: String) -> Result<Self, SpecError> {
        check_length(&pattern)?;
        let built = RegexBuilder::new(&pattern).size_limit(MAX_COMPILED_BYTES).build();
        let unusable =
            |e: regex_lite::Error| SpecError::Regex { pattern: quoted(&pattern), problem: e.to_string() };
        built.map(Self).map_err(unusable)
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl TryFrom<String> for Pattern {
    type Error = SpecError;

    fn try_from(pattern: String) -> Result<Self, SpecError> {
        Self::new(pattern)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.as_str().to_owned()
    }
}

/// A shell pattern.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Glob {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Run,
    One,
    Exactly(char),
    Set { negated: bool, ranges: Vec<(char, char)> },
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Run => false,
            Self::One => true,
            Self::Exactly(own) => *own == c,
            Self::Set { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&c)) != *negated
            }
        }
    }
}

impl TryFrom<String> for Glob {
    type Error = SpecError;

    fn try_from(pattern: String) -> Result<Self, SpecError> {
        Self::new(pattern)
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> Self {
        glob.text
    }
}

impl Glob {
    pub(super) fn new(text: String) -> Result<Self, SpecError> {
        check_length(&text)?;
        match tokens(&text) {
            Ok(tokens) => Ok(Self { text, tokens }),
            Err(problem) => Err(SpecError::Glob { pattern: quoted(&text), problem }),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Only the last `*` is ever tried again, for what an earlier one could take instead, the last one can take, too. So the
    /// time is at most the length of the text times that of the pattern.
    pub(super) fn matches(&self, text: &str) -> bool {
        let mut rest = text.chars();
        let mut next = 0;
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            if self.tokens.get(next) == Some(&Token::Run) {
                next += 1;
                retry = Some((next, rest.clone()));
                continue;
            }
            let mut after = rest.clone();
            match (after.next(), self.tokens.get(next)) {
                (None, None) => return true,
                (None, Some(_)) => return false,
                (Some(c), Some(token)) if token.takes(c) => {
                    rest = after;
                    next += 1;
                }
                _ => {
                    let Some((token, from)) = &mut retry else { return false };
                    from.next();
                    rest = from.clone();
                    next = *token;
                }
            }
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let token = match c {
            '*' if tokens.last() == Some(&Token::Run) => continue,
            '*' => Token::Run,
            '?' => Token::One,
            '\\' => Token::Exactly(chars.next().ok_or("nothing follows the last \\")?),
            '[' => set(&mut chars)?,
            other => Token::Exactly(other),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

const UNCLOSED: &str = "a [ is never closed";

fn set(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, String> {
    let negated = chars.next_if_eq(&'!').is_some();
    let mut ranges = Vec::new();
    loop {
        let first = match chars.next().ok_or(UNCLOSED)? {
            ']' if ranges.is_empty() => return Err("a set is empty".into()),
            ']' => return Ok(Token::Set { negated, ranges }),
            '\\' => chars.next().ok_or(UNCLOSED)?,
            other => other,
        };
        let mut ahead = chars.clone();
        let is_range = ahead.next() == Some('-') && !matches!(ahead.next(), Some(']') | None);
        let last = if is_range {
            chars.next();
            match chars.next().ok_or(UNCLOSED)? {
                '\\' => chars.next().ok_or(UNCLOSED)?,
                other => other,
            }
        } else {
            first
        };
        if last < first {
            return Err(format!("the range {first:?} to {last:?} is the wrong way round"));
        }
        ranges.push((first, last));
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::{Glob, Pattern, SpecError};

    fn glob(pattern: &str, text: &str) -> bool {
        Glob::new(pattern.into()).unwrap().matches(text)
    }

    #[test]
    fn globs_match_the_whole_text() {
        for (pattern, text) in [
            ("flight-*", "flight-"),
            ("flight-*", "flight-7"),
            ("*-7", "flight-7"),
            ("f*t-?", "flight-7"),
            ("*", "x"),
            ("**x**", "x"),
            ("a*b*c", "abbbcbc"),
            ("?", "é"),
            ("[abc]x", "bx"),
            ("[a-c0-9]", "7"),
            ("[!a-c]", "d"),
            ("[a-]", "-"),
            ("[-a]", "-"),
            ("[\\]\\-]", "]"),
            ("[*?]", "*"),
            ("\\*\\[", "*["),
            ("a]", "a]"),
        ] {
            assert!(glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("flight", "flight-7"),
            ("flight", "a flight"),
            ("flight-?", "flight-"),
            ("flight-?", "flight-77"),
            ("[abc]", "d"),
            ("[!abc]", "a"),
            ("[!abc]", ""),
            ("\\*", "x"),
            ("*a", "b"),
            ("", "x"),
            ("Flight", "flight"),
        ] {
            assert!(!glob(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn malformed_globs_say_what_is_wrong() {
        for (pattern, problem) in [
            ("[abc", "never closed"),
            ("[", "never closed"),
            ("[a-", "never closed"),
            ("[\\", "never closed"),
            ("[]", "empty"),
            ("[!]", "empty"),
            ("[z-a]", "wrong way round"),
            ("a\\", "nothing follows"),
        ] {
            let error = Glob::new(pattern.into()).unwrap_err();
            assert!(matches!(error, SpecError::Glob { .. }), "{error:?}");
            let text = error.to_string();
            assert!(text.contains(problem) && text.contains(&format!("{pattern:?}")), "{text}");
        }
        assert!(matches!(Glob::new("*".repeat(1001)), Err(SpecError::TooLong { bytes: 1001, .. })));
    }

    #[test]
    fn many_stars_take_no_time() {
        let started = Instant::now();
        assert!(!glob("*a*a*a*a*b", &"a".repeat(200)));
        assert!(!glob(&"*a".repeat(499), &format!("{}b", "a".repeat(10_000))));
        assert!(!glob(&format!("{}b", "*a".repeat(400)), &"a".repeat(10_000)));
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn expressions_search_and_are_bounded() {
        let found = |pattern: &str, text: &str| Pattern::new(pattern.into()).unwrap().matches(text);
        assert!(found("-[0-9]+", "flight-7-x"));
        assert!(!found("^-[0-9]+$", "flight-7"));
        let started = Instant::now();
        for pattern in ["(a{1000}){1000}", "(?:){4000000000}", "((){0}){4000000000}", "(", "a{2,1}", "(?<n"] {
            let error = Pattern::new(pattern.into()).unwrap_err();
            assert!(matches!(error, SpecError::Regex { .. }), "{error:?}");
            assert!(error.to_string().contains(&format!("{pattern:?}")), "{error}");
        }
        assert!(started.elapsed() < Duration::from_secs(5));
        assert!(Pattern::new("a".repeat(1000)).is_ok());
        assert!(matches!(Pattern::new("a".repeat(1001)), Err(SpecError::TooLong { .. })));
        assert!(Pattern::new("(".repeat(1000)).is_err());
    }

    /// What a glob means, without regard to time.
    fn slowly(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, rest) => rest.is_none(),
            (Some(('*', after)), rest) => {
                slowly(after, text) || rest.is_some_and(|(_, rest)| slowly(pattern, rest))
            }
            (Some(('?', after)), Some((_, rest))) => slowly(after, rest),
            (Some((p, after)), Some((c, rest))) => p == c && slowly(after, rest),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn globs_mean_what_they_say(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let chars = |t: &str| t.chars().collect::<Vec<_>>();
            prop_assert_eq!(glob(&pattern, &text), slowly(&chars(&pattern), &chars(&text)));
        }

        #[test]
        fn any_text_is_a_pattern_or_an_error(pattern in ".{0,40}", sets in "[\\[\\]!\\\\a-c*-]{0,12}", text in ".{0,20}") {
            for pattern in [pattern, sets] {
                let _ = Glob::new(pattern.clone()).map(|g| g.matches(&text));
                let _ = Pattern::new(pattern).map(|p| p.matches(&text));
            }
        }
    }
}
