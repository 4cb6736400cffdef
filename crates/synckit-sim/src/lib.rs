//! A seeded simulation of synckit nodes, their faults and the people who use them.
#![forbid(unsafe_code)]

pub mod oracle;
