//! What a suite asks of the code that makes stores.

use std::{any::Any, fmt, sync::Arc};

use synckit_core::{
    CursorMode, Environment, EventStore, Timestamp,
    limits::{DEFAULT_CLOCK_TOLERANCE_MICROS, MAX_DATA_BYTES},
    store::{Identity, StoreSettings},
};

use crate::{
    environment::{ManualClock, SeededEntropy},
    polls::Boxed,
    sample::NOW,
};

/// How a store for one test has to be made. Every field has to take effect.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Setup {
    /// The node's mode.
    pub mode: CursorMode,
    /// The node's name for people.
    pub label: String,
    /// Where time and randomness come from.
    pub environment: Environment,
    /// How far a stamp may be ahead of the clock, in microseconds.
    pub clock_tolerance: u64,
    /// Largest event data taken, in bytes.
    pub max_data_bytes: usize,
    /// The clock in the environment.
    pub(crate) clock: ManualClock,
}

impl Setup {
    /// The setup of a store with the default limits, a clock of its own, and the randomness of this seed.
    #[must_use]
    pub fn new(mode: CursorMode, seed: u64) -> Self {
        let clock = ManualClock::at(Timestamp::from_micros(NOW));
        let entropy = Arc::new(SeededEntropy::new(seed));
        Self {
            mode,
            label: format!("node {seed}"),
            environment: Environment { clock: Arc::new(clock.clone()), entropy },
            clock_tolerance: DEFAULT_CLOCK_TOLERANCE_MICROS,
            max_data_bytes: MAX_DATA_BYTES,
            clock,
        }
    }

    /// All of it, as stores take it.
    #[must_use]
    pub fn settings(&self) -> StoreSettings {
        let mut settings = StoreSettings::default();
        settings.mode = self.mode;
        settings.label.clone_from(&self.label);
        settings.environment = self.environment.clone();
        settings.clock_tolerance = self.clock_tolerance;
        settings.max_data_bytes = self.max_data_bytes;
        settings
    }

    /// The clock in the environment.
    #[must_use]
    pub const fn clock(&self) -> &ManualClock {
        &self.clock
    }
}

pub(crate) type Receive = Box<dyn Fn(Identity) -> Boxed<'static, Arc<dyn EventStore>>>;
pub(crate) type Reopen = Box<dyn Fn() -> Boxed<'static, Arc<dyn EventStore>>>;

/// A store, or a transport, made for one test, with what has to live as long as it.
pub struct Fixture {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) guard: Option<Box<dyn Any>>,
    pub(crate) reopen: Option<Reopen>,
    pub(crate) receive: Option<Receive>,
}

impl Fixture {
    /// A store that needs nothing else.
    #[must_use]
    pub fn new(store: impl EventStore) -> Self {
        Self { store: Arc::new(store), guard: None, reopen: None, receive: None }
    }

    /// What has to live as long as the store, such as a temporary directory. It is dropped after the store was closed.
    #[must_use]
    pub fn guard(mut self, guard: impl Any) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }

    /// How to open the same data again after the store was closed. Without it, the suite does not check what a store
    /// keeps.
    #[must_use]
    pub fn reopen<S: EventStore, F: Future<Output = S> + 'static>(
        mut self,
        open: impl Fn() -> F + 'static,
    ) -> Self {
        self.reopen = Some(Box::new(move || {
            let opening = open();
            Box::pin(async move { Arc::new(opening.await) as Arc<dyn EventStore> })
        }));
        self
    }

    /// How to make another store, to be filled from one with that identity; asked again, it gives what has been filled so
    /// far, if the backend keeps that. Needed by stores that have [`EventStore::maintenance`].
    #[must_use]
    pub fn receive<S: EventStore, F: Future<Output = S> + 'static>(
        mut self,
        receive: impl Fn(Identity) -> F + 'static,
    ) -> Self {
        self.receive = Some(Box::new(move |identity| {
            let receiving = receive(identity);
            Box::pin(async move { Arc::new(receiving.await) as Arc<dyn EventStore> })
        }));
        self
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture")
            .field("store", &self.store)
            .field("reopens", &self.reopen.is_some())
            .finish()
    }
}
