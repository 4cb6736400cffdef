//! The limits that every store and transport enforces alike.

/// Most counters that a node goes through to see whether it and a peer hold the same under all others.
pub const MAX_DOUBTED_COUNTERS: u64 = 10_000;
/// Longest event id, event type or aggregate id, in bytes of UTF-8. Compared bytewise.
pub const MAX_NAME_BYTES: usize = 255;
/// Largest event data accepted unless a store was told otherwise, in bytes.
pub const MAX_DATA_BYTES: usize = 1024 * 1024;
/// Largest data of the kit's own events, such as a decision that lists very many exceptions, in bytes. What a store was
/// told about the data of others does not touch it.
pub const MAX_KIT_DATA_BYTES: usize = 4 * 1024 * 1024;
/// Largest metadata, in bytes of its canonical JSON text.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;
/// Names that begin with this belong to the kit.
pub const RESERVED_PREFIX: &str = "synckit.";
/// Most parents that one event may name.
pub const MAX_PARENTS: usize = 1024;
/// Largest timestamp, in microseconds since 1970: exact in every JSON implementation, and in the year 2255.
pub const MAX_TIMESTAMP_MICROS: u64 = (1 << 53) - 1;
/// Largest counter and position: they stay exact in SQL's signed 64-bit integers.
pub const MAX_COUNTER: u64 = i64::MAX as u64;
/// Most entries in a vector clock; the text of such a clock is below [`MAX_CURSOR_BYTES`].
pub const MAX_CLOCK_ENTRIES: usize = 1000;
/// Most origins in a vector cursor.
pub const MAX_CURSOR_ORIGINS: usize = 100_000;
/// Most ranges of stubs in a vector cursor that is sent: about 2 MiB. With more, what a filter left out is exchanged by
/// positions.
pub const MAX_CURSOR_STUBS: usize = 100_000;
/// Largest text of a clock or of a log cursor, in bytes.
pub const MAX_CURSOR_BYTES: usize = 64 * 1024;
/// How far a stamp may be ahead of the receiver's clock before it is refused, in microseconds (5 minutes).
pub const DEFAULT_CLOCK_TOLERANCE_MICROS: u64 = 5 * 60 * 1_000_000;
/// How long a conflict waits for a node that is part of it, before any node may decide it, in microseconds (24 hours).
pub const DECIDE_ANYWHERE_AFTER_MICROS: u64 = 24 * 60 * 60 * 1_000_000;
/// Most events in one page or one push.
pub const MAX_PAGE_EVENTS: usize = 10_000;
