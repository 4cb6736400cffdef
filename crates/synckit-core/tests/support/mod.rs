//! What the simulations share: seeds, randomness, and a store of plain maps.

#![allow(dead_code, unused_imports, reason = "each test crate uses a part of it")]

mod oracle;
mod replica;
mod rng;

pub(crate) use self::{
    oracle::Oracle,
    replica::{Replica, offered},
    rng::Rng,
};

use std::panic::{AssertUnwindSafe, catch_unwind};

use synckit_core::Event;

/// Runs `history` for each seed: `default` of them, `SYNCKIT_SEEDS` of them, or the one in `SYNCKIT_SEED`.
///
/// The seed of the first history that fails is part of the panic.
pub(crate) fn for_each_seed(default: u64, history: impl Fn(u64)) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match (number("SYNCKIT_SEED"), number("SYNCKIT_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 0..count.unwrap_or(default),
    };
    for seed in seeds {
        if let Err(cause) = catch_unwind(AssertUnwindSafe(|| history(seed))) {
            let text = cause.downcast_ref::<String>().cloned();
            let text =
                text.or_else(|| cause.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default();
            panic!("seed {seed} (replay with SYNCKIT_SEED={seed}): {text}");
        }
    }
}

/// A small domain event.
pub(crate) fn event(id: &str, aggregate: &str, data: &str) -> Event {
    Event::new("thing.happened", aggregate, data).unwrap().with_id(id).unwrap()
}
