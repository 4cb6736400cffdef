//! The servers that tests need: those that variables name, or else throw-away ones.

mod postgres;

use crate::run::Outcome;

pub(crate) use self::postgres::for_benches;

/// What the tests find in their environment. Servers that were started for it end with this value, or with the process.
pub(crate) struct Servers {
    postgres: postgres::Server,
}

impl Servers {
    pub(crate) fn start() -> Outcome<Self> {
        Ok(Self { postgres: postgres::Server::start()? })
    }

    pub(crate) fn variables(&self) -> Vec<(&'static str, &str)> {
        vec![(postgres::VARIABLE, self.postgres.url())]
    }
}
