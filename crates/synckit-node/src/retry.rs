//! When to try again.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use synckit_core::{Error, Result};

/// Whoever asks for a longer pause is left alone until the next sync.
const LONGEST_PAUSE_ASKED_FOR: Duration = Duration::from_secs(60);

/// How often, and after which pauses, a request is repeated that failed in a way which may pass.
///
/// The pause before attempt n is drawn evenly between zero and `min(cap, base · 2ⁿ⁻¹)` (full jitter), and is never shorter
/// than what the other end asked for; if that is more than a minute, the request is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// How often a request is made in all; 1 means never again.
    pub attempts: u32,
    /// The first pause's upper bound, in milliseconds.
    pub base_ms: u64,
    /// Every pause's upper bound, in milliseconds.
    pub cap_ms: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 3, base_ms: 200, cap_ms: 10_000 }
    }
}

impl RetryPolicy {
    /// A policy.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](synckit_core::ErrorKind::Invalid) for no attempts, a base of zero, or a cap below the base.
    pub fn new(attempts: u32, base: Duration, cap: Duration) -> Result<Self> {
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let policy = Self { attempts, base_ms: millis(base), cap_ms: millis(cap) };
        policy.check().map(|()| policy)
    }

    /// Every request is made once.
    #[must_use]
    pub const fn never() -> Self {
        Self { attempts: 1, base_ms: 1, cap_ms: 1 }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let invalid = |what: &str| Err(Error::invalid("configure retries", what));
        match self {
            Self { attempts: 0, .. } => invalid("retry.attempts is at least 1, which means never again"),
            Self { attempts: 2.., base_ms: 0, .. } => {
                invalid("retry.base_ms is more than 0 when requests are repeated")
            }
            Self { base_ms, cap_ms, .. } if cap_ms < base_ms => {
                invalid("retry.cap_ms is at least retry.base_ms")
            }
            _ => Ok(()),
        }
    }

    /// The pause before the attempt after `failed` attempts, or none if that was the last one.
    ///
    /// `fraction` is random, from 0 to 1.
    #[must_use]
    pub fn pause(&self, failed: u32, error: &Error, fraction: f64) -> Option<Duration> {
        let asked_too_much = error.retry_after().is_some_and(|asked| asked > LONGEST_PAUSE_ASKED_FOR);
        if failed >= self.attempts || !error.is_retryable() || asked_too_much {
            return None;
        }
        let bound = self.base_ms.saturating_mul(1 << (failed - 1).min(32)).min(self.cap_ms);
        let jittered = Duration::from_millis(bound).mul_f64(fraction.clamp(0.0, 1.0));
        Some(error.retry_after().map_or(jittered, |asked| asked.max(jittered)))
    }
}

#[cfg(test)]
mod tests {
    use synckit_core::ErrorKind;

    use super::*;

    #[test]
    fn pauses_grow_to_the_cap_and_end() {
        let policy = RetryPolicy::new(5, Duration::from_millis(100), Duration::from_millis(350)).unwrap();
        let busy = Error::new(ErrorKind::Busy, "test", "busy");
        let pauses: Vec<_> = (1..=5).map(|n| policy.pause(n, &busy, 1.0).map(|d| d.as_millis())).collect();
        assert_eq!(pauses, [Some(100), Some(200), Some(350), Some(350), None]);
        assert_eq!(policy.pause(1, &busy, 0.0), Some(Duration::ZERO));
        let asked = busy.with_retry_after(Duration::from_secs(9));
        assert_eq!(policy.pause(1, &asked, 0.5), Some(Duration::from_secs(9)));
        let tomorrow =
            Error::new(ErrorKind::Unavailable, "test", "no").with_retry_after(Duration::from_secs(86_400));
        assert_eq!(policy.pause(1, &tomorrow, 0.5), None);
        assert_eq!(policy.pause(1, &Error::invalid("test", "no"), 1.0), None);
        assert_eq!(
            RetryPolicy { attempts: u32::MAX, ..policy }.pause(1_000, &asked, 1.0),
            Some(Duration::from_secs(9))
        );
    }

    #[test]
    fn nonsense_is_refused() {
        let ms = Duration::from_millis;
        assert!(RetryPolicy::new(0, ms(1), ms(1)).is_err());
        assert!(RetryPolicy::new(2, ms(0), ms(1)).is_err());
        assert!(RetryPolicy::new(2, ms(2), ms(1)).is_err());
    }
}
