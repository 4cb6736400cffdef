//! What the simulation itself knows of every store: a second set of books, kept entry by entry.

use std::collections::{BTreeMap, HashMap, HashSet};

use synckit_core::{
    CursorMode, EventId, Hash, LogId, Mark, NodeId, Stamp, Timestamp, VertexId,
    decision::{Decision, RESOLUTION, WITHDRAWAL, Withdrawal},
    store::{Checkpoint, LogEntry},
};

/// An entry of a log, as it was when it was written.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) id: EventId,
    pub(crate) stamp: Stamp,
    pub(crate) content: Hash,
    pub(crate) hash: Hash,
    pub(crate) from: Option<LogId>,
    pub(crate) stub: bool,
}

/// One store's log.
#[derive(Debug, Clone)]
pub(crate) struct Book {
    pub(crate) log: LogId,
    pub(crate) mode: CursorMode,
    pub(crate) tape: Vec<Taken>,
    /// Where the entry that counts for an id is in the tape.
    pub(crate) counting: HashMap<EventId, usize>,
    /// Everything that an event may name as a parent, with its smallest timestamp.
    pub(crate) vertices: HashMap<VertexId, Timestamp>,
    pub(crate) withdrawn: HashSet<EventId>,
    pub(crate) stamps: HashMap<(NodeId, u64), EventId>,
    pub(crate) checkpoints: HashMap<LogId, Checkpoint>,
    /// Whether it always wanted every event.
    pub(crate) wants_everything: bool,
}

impl Book {
    pub(crate) fn new(log: LogId, mode: CursorMode) -> Self {
        Self {
            log,
            mode,
            tape: Vec::new(),
            counting: HashMap::new(),
            vertices: HashMap::new(),
            withdrawn: HashSet::new(),
            stamps: HashMap::new(),
            checkpoints: HashMap::new(),
            wants_everything: true,
        }
    }

    pub(crate) fn head(&self) -> Mark {
        let hash = self.tape.last().map_or(Hash::ZERO, |t| t.hash);
        Mark { position: self.tape.len() as u64, hash }
    }

    /// The entry at a position.
    pub(crate) fn at(&self, position: u64) -> Option<&Taken> {
        usize::try_from(position.checked_sub(1)?).ok().and_then(|i| self.tape.get(i))
    }

    /// Whether the log leads through this mark.
    pub(crate) fn contains(&self, mark: Mark) -> bool {
        mark == Mark::START || self.at(mark.position).is_some_and(|t| t.hash == mark.hash)
    }

    /// Whether an event with this id is held, or known to be withdrawn.
    pub(crate) fn knows(&self, id: &EventId) -> bool {
        self.counting.contains_key(id) || self.withdrawn.contains(id)
    }

    fn vertex(&mut self, id: VertexId, timestamp: Timestamp) {
        let smallest = self.vertices.entry(id).or_insert(timestamp);
        *smallest = timestamp.min(*smallest);
    }

    /// The newest of these, by the smallest timestamp of each.
    pub(crate) fn newest(&self, parents: &[VertexId]) -> Timestamp {
        parents.iter().filter_map(|p| self.vertices.get(p)).copied().max().unwrap_or_default()
    }

    /// Writes an entry down.
    pub(crate) fn add(&mut self, entry: &LogEntry) {
        let id = entry.event.id.clone();
        self.vertex(VertexId::from(&id), entry.stamp.timestamp);
        match entry.event.event_type.as_str() {
            RESOLUTION => {
                if let Ok(decision) = Decision::read(&entry.event, &entry.stamp.parents) {
                    self.vertex(decision.vertex(&id), entry.stamp.timestamp);
                }
            }
            WITHDRAWAL => {
                if let Ok(withdrawal) = Withdrawal::read(&entry.event) {
                    self.vertex(VertexId::from(&withdrawal.id), withdrawal.timestamp);
                    self.withdrawn.insert(withdrawal.id);
                }
            }
            _ => {}
        }
        self.stamps.entry((entry.stamp.origin, entry.stamp.counter)).or_insert_with(|| id.clone());
        self.counting.insert(id.clone(), self.tape.len());
        self.tape.push(Taken {
            id,
            stamp: entry.stamp.clone(),
            content: entry.content,
            hash: entry.hash,
            from: entry.from,
            stub: entry.stub,
        });
    }
}

/// An event that a store has acknowledged to the application that appended it.
#[derive(Debug, Clone)]
pub(crate) struct Promised {
    pub(crate) content: Hash,
    /// Whether another event was appended under its id elsewhere.
    pub(crate) contested: bool,
}

/// How much happened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// Events appended by applications.
    pub appends: u64,
    /// Entries written to logs.
    pub entries: u64,
    /// Conflicts found, each once.
    pub conflicts: u64,
    /// Decisions taken.
    pub decisions: u64,
    /// Syncs that ended well.
    pub syncs: u64,
}

/// All books.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) books: Vec<Book>,
    /// Per log, every event that it ever held or knew to be withdrawn.
    pub(crate) ever: HashMap<LogId, HashSet<EventId>>,
    pub(crate) promised: BTreeMap<EventId, Promised>,
    /// Per id, the content that was promised first. A store that was lost may come back.
    promised_first: HashMap<EventId, Hash>,
    /// The conflicts found, by their ids.
    pub(crate) conflicts: HashSet<String>,
    /// Whether some store was copied or restored, so that one counter may stand for two events.
    pub(crate) copied: bool,
    /// Whether any store ever refused an event.
    pub(crate) refused: bool,
    /// How often each store was replaced by another.
    pub(crate) ages: Vec<u64>,
    pub(crate) totals: Totals,
}

impl Ledger {
    /// A store that is new in the world.
    pub(crate) fn open(&mut self, book: Book) {
        self.books.push(book);
        self.ages.push(0);
    }

    /// Writes down what a store has logged.
    pub(crate) fn add(&mut self, node: usize, entries: &[LogEntry]) {
        let book = &mut self.books[node];
        let ever = self.ever.entry(book.log).or_default();
        for entry in entries {
            book.add(entry);
            ever.insert(entry.event.id.clone());
            if entry.event.event_type.as_str() == WITHDRAWAL
                && let Ok(withdrawal) = Withdrawal::read(&entry.event)
            {
                ever.insert(withdrawal.id);
            }
            self.totals.entries += 1;
        }
    }

    /// An application was told that its event is in the log.
    pub(crate) fn promise(&mut self, id: &EventId, content: Hash) {
        self.totals.appends += 1;
        let promised = self.promised.entry(id.clone()).or_insert(Promised { content, contested: false });
        let first = *self.promised_first.entry(id.clone()).or_insert(content);
        promised.contested |= promised.content != content || first != content;
    }

    /// A store is no more what it was: what nobody else holds is lost with it.
    pub(crate) fn replaced(&mut self, node: usize, book: Book) {
        self.books[node] = book;
        self.ages[node] += 1;
        let books = &self.books;
        self.promised.retain(|id, _| books.iter().any(|b| b.knows(id)));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
mod tests {
    use synckit_core::CursorMode;

    use super::*;

    /// Seed 1159, where it came back.
    #[test]
    fn what_was_promised_by_a_store_that_was_lost_may_come_back() {
        let mut ledger = Ledger::default();
        let book = |log: u128| Book::new(LogId::from_u128(log), CursorMode::Vector);
        ledger.open(book(1));
        let id = EventId::new("e").unwrap();
        ledger.promise(&id, Hash::of(b"one"));
        ledger.replaced(0, book(2));
        assert!(!ledger.promised.contains_key(&id), "nobody holds it");
        ledger.promise(&id, Hash::of(b"another"));
        assert!(ledger.promised[&id].contested);
    }
}
