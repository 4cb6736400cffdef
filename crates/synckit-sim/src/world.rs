//! The nodes of a history.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use synckit_core::{CursorMode, Environment, Event, EventId, EventStore, Filter, Result};
use synckit_node::{DecideScope, ResolverKind, RetryPolicy, SyncNode, SyncNodeBuilder};
use synckit_resolve::{ConflictResolver, DynamicResolver, workflow::Workflows};

use crate::{
    backend::{Backend, Copy, Disk},
    executor::{Ending, Executor, Stopped},
    faults::Fault,
    ledger::Book,
    net::{Network, SimTransport},
    oracle::{self, Violation},
    resolvers::RandomResolver,
    rng::Rng,
    rule_files,
    script::{Gap, Resolver, Script, Settings, Topology},
    shared::{NodeClock, NodeEntropy, Shared},
    store::SimStore,
};

/// Copies that live on beside their originals: no more than these.
const MOST_CLONES: usize = 2;

/// A way to another node.
pub(crate) struct Link {
    pub(crate) peer: usize,
    pub(crate) node: SyncNode,
}

/// What runs on a node that is up.
pub(crate) struct Running {
    pub(crate) store: Arc<SimStore>,
    /// The node without a way to anyone: what applications and people use.
    pub(crate) local: SyncNode,
    pub(crate) links: Vec<Link>,
    /// The workflows of its conflicts. They end with the process.
    pub(crate) workflows: Workflows,
}

/// Events that were given to a node and not acknowledged yet.
pub(crate) type Unacknowledged = Arc<Mutex<BTreeMap<EventId, Event>>>;

pub(crate) struct Replica {
    pub(crate) disk: Disk,
    pub(crate) running: Option<Running>,
    pub(crate) peers: Vec<usize>,
    pub(crate) clock: Arc<NodeClock>,
    pub(crate) environment: Environment,
    pub(crate) mode: CursorMode,
    pub(crate) filter: Filter,
    pub(crate) unacknowledged: Unacknowledged,
    pub(crate) copy: Option<(Copy, Book)>,
    resolver: Resolver,
    down_until: u64,
}

pub(crate) struct World {
    pub(crate) shared: Arc<Shared>,
    pub(crate) executor: Executor,
    pub(crate) network: Arc<Network>,
    pub(crate) settings: Settings,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) rng: Rng,
    pub(crate) seed: u64,
    /// For the nodes that decide by rules.
    rules: Arc<DynamicResolver>,
    backend: Backend,
    down_ms: BTreeMap<usize, u64>,
    clones: usize,
    assembled: u64,
}

/// The nodes that node `i` of `n` syncs with.
fn peers(topology: Topology, i: usize, n: usize) -> Vec<usize> {
    match topology {
        Topology::Star if i == 0 => Vec::new(),
        Topology::Star => vec![0],
        Topology::Chain if i + 1 == n => Vec::new(),
        Topology::Chain => vec![i + 1],
        Topology::Ring | Topology::PullingRing | Topology::PushingRing => vec![(i + 1) % n],
        Topology::Mesh => (0..n).filter(|j| *j != i).collect(),
    }
}

impl World {
    pub(crate) fn new(script: &Script, backend: Backend, shared: &Arc<Shared>) -> Result<Self> {
        let mut rng = Rng::new(script.seed ^ 0x57A6_0F3A);
        let settings = script.settings.clone();
        let rules = rule_files::random(&mut Rng::new(script.seed ^ 0x0052_554C_4553));
        let mut world = Self {
            shared: Arc::clone(shared),
            executor: Executor::new(shared, rng.fork()),
            network: Network::new(shared),
            settings,
            replicas: Vec::new(),
            rng,
            seed: script.seed,
            rules: rule_files::resolver(&rules)?,
            backend,
            down_ms: BTreeMap::new(),
            clones: 0,
            assembled: 0,
        };
        let count = world.settings.modes.len();
        for i in 0..count {
            let clock = NodeClock::new(shared);
            let entropy = NodeEntropy::new(Rng::new(script.seed.wrapping_mul(31).wrapping_add(i as u64)));
            let environment = Environment { clock: clock.clone(), entropy };
            let mode = world.settings.modes[i];
            let disk = world.backend.create(mode, &environment)?;
            shared.state().ledger.open(Book::new(disk.store().identity().log, mode));
            world.replicas.push(Replica {
                disk,
                running: None,
                peers: peers(world.settings.topology, i, count),
                clock,
                environment,
                mode,
                filter: Filter::everything(),
                unacknowledged: Unacknowledged::default(),
                copy: None,
                resolver: world.settings.resolvers[i],
                down_until: 0,
            });
            world.start(i)?;
        }
        Ok(world)
    }

    /// Makes the nodes over a replica's store, as a process does that starts.
    pub(crate) fn start(&mut self, n: usize) -> Result<()> {
        self.assembled += 1;
        let replica = &self.replicas[n];
        let store = Arc::new(SimStore::new(
            n,
            replica.disk.store(),
            replica.disk.host(),
            Arc::clone(&replica.clock),
            &self.shared,
            replica.disk.durable(),
        ));
        let found = {
            let state = self.shared.state();
            let head = store.now(store.inner().head())?;
            oracle::acknowledgements::durable(&state.ledger.books[n], head)
        };
        self.shared.judge(found);
        let as_store = || Arc::clone(&store) as Arc<dyn EventStore>;
        let workflows = Workflows::default();
        let local = self.builder(n, as_store(), &workflows).build()?;
        let mut links = Vec::new();
        for &peer in &replica.peers {
            let rng = Rng::new(self.seed ^ (self.assembled << 20) ^ ((n as u64) << 10) ^ peer as u64);
            let transport = SimTransport::new(n, peer, &self.network, rng, self.settings.trouble);
            let builder = self.builder(n, as_store(), &workflows).transport(Arc::new(transport));
            // A copy that nobody else knows of has to go both ways.
            let original = n < self.settings.modes.len();
            let builder = match self.settings.topology {
                _ if !original => builder,
                Topology::PullingRing => builder.pull_only(),
                Topology::PushingRing => builder.push_only(),
                _ => builder,
            };
            links.push(Link { peer, node: builder.build()? });
        }
        self.network.expose(n, Some(as_store()));
        self.replicas[n].running = Some(Running { store, local, links, workflows });
        Ok(())
    }

    fn builder(&self, n: usize, store: Arc<dyn EventStore>, workflows: &Workflows) -> SyncNodeBuilder {
        let replica = &self.replicas[n];
        let mut builder = SyncNode::builder(store)
            .workflows(workflows.clone())
            .environment(replica.environment.clone())
            .filter(replica.filter.clone())
            .batch_size(self.settings.batch);
        if let Ok(policy) =
            RetryPolicy::new(self.settings.attempts, Duration::from_millis(100), Duration::from_secs(5))
        {
            builder = builder.retry(policy);
        }
        if n == 0 && self.settings.hub_decides_all {
            builder = builder.decide(DecideScope::Every);
        }
        match replica.resolver {
            Resolver::LastWriteWins => builder.resolver_kind(ResolverKind::LastWriteWins),
            Resolver::FirstWriteWins => builder.resolver_kind(ResolverKind::FirstWriteWins),
            Resolver::AdditiveMerge => builder.resolver_kind(ResolverKind::AdditiveMerge),
            Resolver::Rules => builder.resolver(Arc::clone(&self.rules) as Arc<dyn ConflictResolver>),
            Resolver::ManualReview => builder.resolver_kind(ResolverKind::ManualReview),
            Resolver::Random => {
                let rng = Rng::new(self.seed ^ (self.assembled << 8) ^ n as u64);
                builder.resolver(Arc::new(RandomResolver::new(rng)))
            }
        }
    }

    /// Ends a node where it is. It starts again by itself after a while.
    pub(crate) fn end(&mut self, n: usize, down_ms: u64) {
        self.network.expose(n, None);
        self.executor.drop_jobs(n, false);
        self.replicas[n].running = None;
        self.replicas[n].down_until = self.shared.elapsed() + down_ms * 1_000;
    }

    pub(crate) fn crash_later(&mut self, n: usize, polls: u64, down_ms: u64) {
        self.down_ms.insert(n, down_ms);
        self.executor.end_later(Ending { node: n, polls, only_syncs: false });
    }

    pub(crate) fn cancel_later(&mut self, n: usize, polls: u64) {
        self.executor.end_later(Ending { node: n, polls, only_syncs: true });
    }

    fn ended(&mut self, ending: Ending) {
        if ending.only_syncs {
            self.shared.fault(Fault::Cancelled);
            self.shared.note(format_args!("n{} gives its syncs up", ending.node));
            self.executor.drop_jobs(ending.node, true);
        } else {
            self.shared.fault(Fault::Crash);
            self.shared.note(format_args!("n{} crashes", ending.node));
            let down = self.down_ms.remove(&ending.node).unwrap_or(1);
            self.end(ending.node, down);
        }
    }

    /// Opens what a node has left, and starts it.
    pub(crate) fn restart(&mut self, n: usize) -> Result<()> {
        self.replicas[n].disk.reopen()?;
        self.shared.note(format_args!("n{n} starts"));
        self.start(n)
    }

    pub(crate) fn restart_due(&mut self, all: bool) -> Result<()> {
        let now = self.shared.elapsed();
        for n in 0..self.replicas.len() {
            let replica = &self.replicas[n];
            if replica.running.is_none() && (all || replica.down_until <= now) {
                self.restart(n)?;
            }
        }
        Ok(())
    }

    /// Lets everything run for a while.
    pub(crate) async fn pass(&mut self, gap: Gap) -> Result<()> {
        match gap {
            Gap::Polls(polls) => {
                if let Stopped::Ended(ending) = self.executor.run_polls(polls) {
                    self.ended(ending);
                }
            }
            Gap::Millis(ms) => {
                let until = self.shared.elapsed() + ms * 1_000;
                loop {
                    let left = until.saturating_sub(self.shared.elapsed());
                    let step = left.min(100_000);
                    if let Stopped::Ended(ending) = self.executor.run(Some(Duration::from_micros(step))).await
                    {
                        self.ended(ending);
                    }
                    self.restart_due(false)?;
                    if self.shared.elapsed() >= until || self.shared.is_violated() {
                        break;
                    }
                }
            }
        }
        self.restart_due(false)
    }

    /// Lets everything run to its end.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        loop {
            match self.executor.run(None).await {
                Stopped::Ended(ending) => self.ended(ending),
                Stopped::Done => return Ok(()),
                Stopped::Stuck => {
                    let what = format!("these never end: {}", self.executor.waiting());
                    self.shared.judge(Err(Violation::new("E7", what)));
                    self.executor.clear();
                    return Ok(());
                }
            }
        }
    }

    /// A node's store is another one from now on.
    pub(crate) fn replace(&mut self, n: usize, book: Book) -> Result<()> {
        self.shared.state().ledger.replaced(n, book);
        self.start(n)
    }

    pub(crate) fn wipe(&mut self, n: usize) -> Result<()> {
        self.shared.fault(Fault::Wiped);
        self.shared.note(format_args!("n{n} loses all it has"));
        self.end(n, 0);
        let replica = &mut self.replicas[n];
        replica.disk = self.backend.create(replica.mode, &replica.environment)?;
        let mut book = Book::new(replica.disk.store().identity().log, replica.mode);
        book.wants_everything = replica.filter.is_everything();
        self.replace(n, book)
    }

    pub(crate) fn copy(&mut self, n: usize) -> Result<()> {
        let copy = self.replicas[n].disk.copy()?;
        let book = self.shared.state().ledger.books[n].clone();
        self.shared.note(format_args!("n{n} is copied at {}", book.head().position));
        self.replicas[n].copy = Some((copy, book));
        Ok(())
    }

    pub(crate) fn restore(&mut self, n: usize) -> Result<()> {
        let Some((copy, mut book)) = self.replicas[n].copy.take() else { return Ok(()) };
        self.shared.fault(Fault::Restored);
        self.shared.note(format_args!("n{n} is restored to {}", book.head().position));
        self.end(n, 0);
        self.replicas[n].disk.restore(&copy)?;
        book.wants_everything = false;
        self.replicas[n].copy = Some((copy, book.clone()));
        self.shared.state().ledger.copied = true;
        self.replace(n, book)
    }

    pub(crate) fn clone_node(&mut self, n: usize) -> Result<()> {
        if self.clones == MOST_CLONES {
            return Ok(());
        }
        self.clones += 1;
        self.shared.fault(Fault::Cloned);
        let now = self.replicas.len();
        self.shared.note(format_args!("n{now} is a copy of n{n}"));
        let copy = self.replicas[n].disk.copy()?;
        let original = &self.replicas[n];
        let disk = self.backend.live_copy(&copy, original.mode, &original.environment)?;
        let peers = if original.peers.is_empty() { vec![n] } else { original.peers.clone() };
        let replica = Replica {
            disk,
            running: None,
            peers,
            clock: Arc::clone(&original.clock),
            environment: original.environment.clone(),
            mode: original.mode,
            filter: original.filter.clone(),
            unacknowledged: Unacknowledged::default(),
            copy: None,
            resolver: original.resolver,
            down_until: 0,
        };
        self.replicas.push(replica);
        let mut state = self.shared.state();
        let mut book = state.ledger.books[n].clone();
        book.wants_everything = false;
        state.ledger.open(book);
        state.ledger.copied = true;
        drop(state);
        self.start(now)
    }

    /// Changes what a node wants, and starts it anew.
    pub(crate) fn set_filter(&mut self, n: usize, filter: Filter) -> Result<()> {
        if self.replicas[n].filter == filter {
            return Ok(());
        }
        self.shared.note(format_args!("n{n} wants {}", serde_json::to_string(&filter).unwrap_or_default()));
        self.end(n, 0);
        self.replicas[n].filter = filter;
        self.shared.state().ledger.books[n].wants_everything = false;
        self.restart(n)
    }
}
