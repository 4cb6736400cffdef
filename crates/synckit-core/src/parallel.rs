//! Two halves of some work at once.

use std::{
    num::NonZero,
    panic::resume_unwind,
    sync::{Mutex, OnceLock, PoisonError},
    thread,
};

/// What takes less is done sooner than a thread is started.
const WORTH_A_THREAD: usize = 512;

/// Does two things at once, and gives what both give.
///
/// `first` runs on a thread of its own if there are `items` enough for that, and processors for two threads; otherwise it
/// runs before `second`. It blocks until both have ended. Stores prepare rows with it; the result is the same either way.
///
/// ```
/// let rows = ["a", "b", "c"];
/// let (longest, bytes) = synckit_core::parallel::both(
///     rows.len(),
///     || rows.iter().map(|r| r.len()).max(),
///     || rows.iter().map(|r| r.len()).sum::<usize>(),
/// );
/// assert_eq!((longest, bytes), (Some(1), 3));
/// ```
///
/// # Panics
/// If one of the two panics.
pub fn both<A: Send, B>(
    items: usize,
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B,
) -> (A, B) {
    if items < WORTH_A_THREAD || !has_two_processors() {
        return (first(), second());
    }
    let first = Mutex::new(Some(first));
    let take = || first.lock().unwrap_or_else(PoisonError::into_inner).take();
    thread::scope(|scope| {
        let started = thread::Builder::new().spawn_scoped(scope, || take().map(|first| first()));
        let b = second();
        let a = match started.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(a)) => a,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => None,
        };
        // No thread could be started: then nobody has taken it.
        let a = a.or_else(|| take().map(|first| first()));
        match a {
            Some(a) => (a, b),
            None => unreachable!("what was taken has given something"),
        }
    })
}

fn has_two_processors() -> bool {
    static PROCESSORS: OnceLock<bool> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, NonZero::get) > 1)
}

/// What `map` gives for each of the items, in their order; half of it is done by another thread if that is worth it.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], map: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (front, back) = items.split_at(items.len() / 2);
    let (mut front, back) = both(
        items.len(),
        || front.iter().map(&map).collect::<Vec<R>>(),
        || back.iter().map(&map).collect::<Vec<R>>(),
    );
    front.extend(back);
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_stays_however_many_there_are() {
        for count in [0, 1, 2, 511, 512, 513, 5001] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(map(&items, |i| i * 3), items.iter().map(|i| i * 3).collect::<Vec<_>>());
        }
    }

    #[test]
    #[should_panic(expected = "the first")]
    fn a_panic_of_the_other_thread_is_one_of_this() {
        both(100_000, || panic!("the first"), || 1);
    }
}
