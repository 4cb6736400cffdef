//! The stores of one case.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    fmt,
    sync::Arc,
};

use synckit_core::{CursorMode, ErrorKind, EventStore};

use crate::{
    polls::Boxed,
    run,
    setup::{Fixture, Setup},
    subject::Subject,
};

/// Makes a fixture for each store that a case asks for.
#[doc(hidden)]
pub struct Fresh(Box<dyn Fn(Setup) -> Boxed<'static, Fixture>>);

impl Fresh {
    /// Takes an async function.
    pub fn new<F: Future<Output = Fixture> + 'static>(fresh: impl Fn(Setup) -> F + 'static) -> Self {
        Self(Box::new(move |setup| Box::pin(fresh(setup))))
    }

    pub(crate) fn run(self, case: impl AsyncFn(&Stores<'_>)) {
        run::twice(async |mode| {
            let stores = Stores::new(&self, mode);
            case(&stores).await;
            stores.finish().await;
        });
    }
}

impl fmt::Debug for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fresh").finish_non_exhaustive()
    }
}

/// The stores of one case. All that were not closed are checked and closed when the case ends.
pub(crate) struct Stores<'a> {
    fresh: &'a Fresh,
    mode: CursorMode,
    made: Cell<u64>,
    open: RefCell<Vec<Arc<dyn EventStore>>>,
    guards: RefCell<Vec<Box<dyn Any>>>,
}

impl<'a> Stores<'a> {
    pub(crate) fn new(fresh: &'a Fresh, mode: CursorMode) -> Self {
        Self { fresh, mode, made: Cell::new(0), open: RefCell::default(), guards: RefCell::default() }
    }

    pub(crate) const fn mode(&self) -> CursorMode {
        self.mode
    }

    /// An empty store.
    pub(crate) async fn fresh(&self) -> Subject {
        self.with(|_| {}).await
    }

    /// An empty store that is set up otherwise.
    pub(crate) async fn with(&self, change: impl FnOnce(&mut Setup)) -> Subject {
        self.made.set(self.made.get() + 1);
        let mut setup = Setup::new(self.mode, self.made.get());
        change(&mut setup);
        let clock = setup.clock.clone();
        let fixture = (self.fresh.0)(setup).await;
        self.guards.borrow_mut().extend(fixture.guard);
        self.open.borrow_mut().push(Arc::clone(&fixture.store));
        Subject { store: fixture.store, clock, reopen: fixture.reopen, receive: Cell::new(fixture.receive) }
    }

    /// Closes a store, and opens its data again if the fixture knows how; if not, the store stays as it is.
    pub(crate) async fn reopened(&self, subject: Subject) -> Subject {
        let Some(reopen) = subject.reopen else { return subject };
        subject.store.close().await.unwrap();
        let store = reopen().await;
        self.open.borrow_mut().push(Arc::clone(&store));
        Subject { store, clock: subject.clock, reopen: Some(reopen), receive: subject.receive }
    }

    /// A store that the case made itself is checked and closed with the others.
    pub(crate) fn will_close(&self, store: &Arc<dyn EventStore>) {
        self.open.borrow_mut().push(Arc::clone(store));
    }

    /// Whether stores of this kind keep what they hold when they are closed.
    pub(crate) const fn keeps(&self, subject: &Subject) -> bool {
        subject.reopen.is_some()
    }

    pub(crate) async fn finish(self) {
        let open = self.open.take();
        for store in &open {
            match store.head().await {
                Err(e) if e.kind() == ErrorKind::Closed => {}
                _ => crate::store::check(&**store).await,
            }
            store.close().await.unwrap();
        }
    }
}
