//! Time and randomness that a test controls.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use synckit_core::{Clock, Entropy, Timestamp};

/// A clock that moves only when it is told to. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that shows this time.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(now.as_micros())))
    }

    /// Sets the clock, forwards or backwards.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_micros(), Ordering::SeqCst);
    }

    /// Moves the clock forwards.
    pub fn advance(&self, micros: u64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }

    /// Moves the clock backwards, but not before 1970.
    pub fn rewind(&self, micros: u64) {
        self.set(Timestamp::from_micros(self.now().as_micros().saturating_sub(micros)));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Randomness that is the same in every run (SplitMix64). Clones draw from the same sequence.
#[derive(Debug, Clone)]
pub struct SeededEntropy(Arc<AtomicU64>);

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl SeededEntropy {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed.wrapping_mul(STEP) ^ 0xD1B5_4A32_D192_ED03)))
    }

    fn next(&self) -> u64 {
        let mut z = self.0.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn random(&self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}
