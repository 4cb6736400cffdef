//! Writers of one process: they take turns, so that only one of them holds a connection, and small appends that wait share a
//! transaction.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use synckit_core::{
    Event, Result,
    store::{Write, Written},
};
use tokio::sync::oneshot;

/// Most events of appends that are put together.
const MOST_EVENTS: usize = 2_000;
/// Most bytes of data of appends that are put together.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// A write with the one who waits for it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) write: Write,
    pub(crate) answer: oneshot::Sender<Result<Written>>,
}

/// What waits to be written, in the order in which it came.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    jobs: Mutex<VecDeque<Job>>,
    /// Held while something is written.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl Queue {
    pub(crate) fn push(&self, write: Write) -> oneshot::Receiver<Result<Written>> {
        let (answer, answered) = oneshot::channel();
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).push_back(Job { write, answer });
        answered
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// What is to be written next: one write, or appends that follow each other.
    pub(crate) fn next(&self) -> Vec<Job> {
        let mut waiting = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut jobs, mut events, mut bytes) = (Vec::new(), 0, 0);
        while let Some(job) = waiting.front() {
            let Write::Append(new) = &job.write else { break };
            events += new.len();
            bytes += new.iter().map(|e| e.data.bytes().len()).sum::<usize>();
            if !jobs.is_empty() && (events > MOST_EVENTS || bytes > MOST_BYTES) {
                break;
            }
            jobs.extend(waiting.pop_front());
        }
        if jobs.is_empty() {
            jobs.extend(waiting.pop_front());
        }
        jobs
    }
}

/// Several appends as one.
pub(crate) fn together(jobs: &[Job]) -> Write {
    let appended = |job: &Job| match &job.write {
        Write::Append(events) => events.clone(),
        _ => Vec::new(),
    };
    Write::Append(jobs.iter().flat_map(appended).collect::<Vec<Event>>())
}

/// What became of each of several appends that were written as one.
pub(crate) fn apart(jobs: &[Job], mut written: Written) -> Vec<Written> {
    let mut outcomes = std::mem::take(&mut written.outcomes).into_iter();
    let mut all = Vec::with_capacity(jobs.len());
    for job in jobs {
        let mut part = Written::default();
        if let Write::Append(events) = &job.write {
            part.outcomes = outcomes.by_ref().take(events.len()).collect();
        }
        part.head = written.head;
        all.push(part);
    }
    // They are about the log, and not about single events.
    if let Some(first) = all.first_mut() {
        first.notices = written.notices;
        first.conflicts_opened = written.conflicts_opened;
        first.released = written.released;
    }
    all
}

#[cfg(test)]
mod tests {
    use synckit_core::store::Outcome;

    use super::*;

    fn append(ids: &[&str]) -> Write {
        let event = |id: &&str| Event::new("t", "a", &1).unwrap().with_id(*id).unwrap();
        Write::Append(ids.iter().map(event).collect())
    }

    #[test]
    fn appends_go_together_and_nothing_overtakes() {
        let queue = Queue::default();
        let writes =
            [append(&["1", "2"]), append(&[]), append(&["3"]), Write::Withdraw(Vec::new()), append(&["4"])];
        let _waiting: Vec<_> = writes.into_iter().map(|write| queue.push(write)).collect();
        let sizes: Vec<usize> = std::iter::repeat_with(|| queue.next().len()).take(4).collect();
        assert_eq!(sizes, [3, 1, 1, 0]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_large_append_goes_alone() {
        let queue = Queue::default();
        let ids: Vec<String> = (0..MOST_EVENTS).map(|n| n.to_string()).collect();
        let large = append(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        let _waiting = [queue.push(append(&["a"])), queue.push(large), queue.push(append(&["b"]))];
        let sizes: Vec<usize> = std::iter::repeat_with(|| queue.next().len()).take(3).collect();
        assert_eq!(sizes, [1, 1, 1]);
    }

    #[test]
    fn each_gets_what_became_of_its_own() {
        let queue = Queue::default();
        let _waiting = [queue.push(append(&["1", "2"])), queue.push(append(&["3"]))];
        let jobs = queue.next();
        let mut written = Written::default();
        written.outcomes = (1..=3).map(|position| Outcome::Accepted { position }).collect();
        let parts = apart(&jobs, written);
        let sizes: Vec<usize> = parts.iter().map(|part| part.outcomes.len()).collect();
        assert_eq!(sizes, [2, 1]);
        assert_eq!(parts[1].outcomes, [Outcome::Accepted { position: 3 }]);
    }
}
