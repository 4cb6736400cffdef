//! What all stores are told alike.

use crate::{
    cursor::Mark,
    env::Environment,
    ids::{LogId, NodeId},
    limits::{DEFAULT_CLOCK_TOLERANCE_MICROS, MAX_DATA_BYTES},
    plan::{NodeState, Surroundings},
    stamp::Timestamp,
    version::CursorMode,
};

/// What every store is told, whatever keeps its events.
///
/// Label and mode count when a store is made; a store that exists keeps its own.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreSettings {
    /// The node's name for people.
    pub label: String,
    /// How the node expresses progress and versions.
    pub mode: CursorMode,
    /// Where time and randomness come from.
    pub environment: Environment,
    /// How far a stamp may be ahead of the clock, in microseconds.
    pub clock_tolerance: u64,
    /// Largest event data taken, in bytes.
    pub max_data_bytes: usize,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            label: String::new(),
            mode: CursorMode::Integer,
            environment: Environment::default(),
            clock_tolerance: DEFAULT_CLOCK_TOLERANCE_MICROS,
            max_data_bytes: MAX_DATA_BYTES,
        }
    }
}

impl StoreSettings {
    /// What surrounds a write now.
    #[must_use]
    pub fn surroundings(&self) -> Surroundings {
        let mut around = Surroundings::new(self.environment.clock.now(), self.environment.entropy.random());
        around.tolerance = self.clock_tolerance;
        around.max_data = self.max_data_bytes;
        around
    }

    /// The state of a new node with a new, empty log.
    #[must_use]
    pub fn new_node(&self) -> NodeState {
        let entropy = &self.environment.entropy;
        NodeState {
            log: LogId::from_u128(entropy.random()),
            node: NodeId::from_u128(entropy.random()),
            former: Vec::new(),
            counter: 0,
            clock: Timestamp::default(),
            head: Mark::START,
        }
    }

    /// The state of a node that goes on, as another node with another log, from where a copied log ends.
    #[must_use]
    pub fn as_new_node(&self, copied: NodeState) -> NodeState {
        let mut former = copied.former;
        former.push(copied.node);
        NodeState { former, clock: copied.clock, head: copied.head, ..self.new_node() }
    }
}

/// The methods by which a store's configuration takes its [`StoreSettings`], for a type with a field `settings`. For the
/// crates of stores.
#[doc(hidden)]
#[macro_export]
macro_rules! store_settings_methods {
    () => {
        /// All that stores are told alike, at once.
        #[must_use]
        pub fn settings(mut self, settings: $crate::store::StoreSettings) -> Self {
            self.settings = settings;
            self
        }

        /// The node's name for people, when the store is made; empty by default.
        #[must_use]
        pub fn label(mut self, label: impl Into<String>) -> Self {
            self.settings.label = label.into();
            self
        }

        /// How the node expresses progress and versions, when the store is made; integer by default.
        #[must_use]
        pub const fn mode(mut self, mode: $crate::CursorMode) -> Self {
            self.settings.mode = mode;
            self
        }

        /// Where time and randomness come from; the machine by default.
        #[must_use]
        pub fn environment(mut self, environment: $crate::Environment) -> Self {
            self.settings.environment = environment;
            self
        }

        /// How far a stamp may be ahead of the clock, in microseconds; 5 minutes by default.
        #[must_use]
        pub const fn clock_tolerance(mut self, micros: u64) -> Self {
            self.settings.clock_tolerance = micros;
            self
        }

        /// Largest event data taken, in bytes; 1 MiB by default.
        #[must_use]
        pub const fn max_data_bytes(mut self, bytes: usize) -> Self {
            self.settings.max_data_bytes = bytes;
            self
        }
    };
}
