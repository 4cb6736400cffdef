//! The network between simulated nodes, and what it does to their messages.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use synckit_core::{
    Error, ErrorKind, EventId, EventStore, Hub, Result, Transport,
    plant::{Plant, planted},
    store::{Outcome, Refusal, RefusalCode},
    transport::{Greeting, PeerState, PullPage, PullRequest, PushReply, PushRequest},
};
use tokio::sync::oneshot;

use crate::{
    faults::Fault,
    oracle,
    points::{Call, Phase},
    rng::Rng,
    shared::{Kind, Shared},
};

const PATIENCE: Duration = Duration::from_secs(10);
const PAGES_KEPT: usize = 8;

/// The network.
#[derive(Debug)]
pub(crate) struct Network {
    shared: Arc<Shared>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    hubs: BTreeMap<usize, Arc<dyn EventStore>>,
    /// Until when messages of one node to another are lost.
    blocked: BTreeMap<(usize, usize), u64>,
    sent: BTreeMap<(usize, usize), u64>,
    newest_delivered: BTreeMap<(usize, usize), u64>,
    pages: BTreeMap<(usize, usize), Vec<(PullRequest, PullPage)>>,
    /// Nodes that refuse some events, with what tells which.
    refusing: BTreeMap<usize, u64>,
    /// What each hub has ever taken: only a planted bug looks at it.
    memory: BTreeMap<usize, HashSet<EventId>>,
    calm: bool,
}

#[derive(Debug, Clone)]
enum Request {
    Greet(Greeting),
    Pull(PullRequest),
    Push(PushRequest),
}

#[derive(Debug, Clone)]
enum Reply {
    Greet(PeerState),
    Pull(PullPage),
    Push(PushReply),
}

impl Request {
    const fn calls(&self) -> (Call, Call) {
        match self {
            Self::Greet(_) => (Call::Greet, Call::ServeGreet),
            Self::Pull(_) => (Call::Pull, Call::ServePull),
            Self::Push(_) => (Call::Push, Call::ServePush),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Greet(g) => {
                format!("greet {:?}", g.marks.iter().map(|m| m.position).collect::<Vec<_>>())
            }
            Self::Pull(p) => format!(
                "pull after {}, at most {}{}{}",
                p.after.position,
                p.limit,
                if p.missing_from.is_some() { ", what is missing" } else { "" },
                if p.filter.is_everything() { "" } else { ", filtered" }
            ),
            Self::Push(p) => {
                let ids: Vec<&str> = p.entries.iter().map(|e| short(e.event.id.as_str())).collect();
                format!("push {}", ids.join(" "))
            }
        }
    }
}

impl Reply {
    fn describe(&self) -> String {
        match self {
            Self::Greet(s) => {
                format!("head {}{}", s.head.position, if s.verified { "" } else { ", not what it was" })
            }
            Self::Pull(p) => {
                let ids: Vec<&str> = p.entries.iter().map(|e| short(e.event.id.as_str())).collect();
                format!("{} to {} of {}", ids.join(" "), p.next.position, p.head.position)
            }
            Self::Push(p) => {
                let acks: Vec<String> = p.acks.iter().map(|(_, o)| outcome(o)).collect();
                format!("{}, head {}", acks.join(" "), p.head.position)
            }
        }
    }
}

/// The kit's own ids are long and random.
pub(crate) fn short(id: &str) -> &str {
    if id.starts_with("synckit.") { id.get(..16).unwrap_or(id) } else { id }
}

pub(crate) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted { position } => format!("@{position}"),
        Outcome::Duplicate => "dup".into(),
        Outcome::Refused(refusal) if refusal.code == RefusalCode::WaitingForParent => {
            let parent = refusal.detail.split(' ').nth(3).unwrap_or_default();
            format!("waits:{}", short(parent.trim_end_matches(',')))
        }
        Outcome::Refused(refusal) => format!("refused:{}", refusal.code.as_str()),
        _ => "stale".into(),
    }
}

impl Network {
    pub(crate) fn new(shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { shared: Arc::clone(shared), state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a node's store on the network, or takes it off.
    pub(crate) fn expose(&self, node: usize, store: Option<Arc<dyn EventStore>>) {
        let mut state = self.state();
        match store {
            Some(store) => drop(state.hubs.insert(node, store)),
            None => drop(state.hubs.remove(&node)),
        }
    }

    /// Loses the messages of one node to another until then.
    pub(crate) fn block(&self, from: usize, to: usize, until: u64) {
        self.state().blocked.insert((from, to), until);
    }

    /// Has a node refuse some events, or no more.
    pub(crate) fn refuse(&self, node: usize, which: Option<u64>) {
        let mut state = self.state();
        match which {
            Some(which) => drop(state.refusing.insert(node, which)),
            None => drop(state.refusing.remove(&node)),
        }
    }

    /// Ends every fault.
    pub(crate) fn calm(&self) {
        let mut state = self.state();
        state.calm = true;
        state.blocked.clear();
        state.refusing.clear();
        state.pages.clear();
    }

    fn is_blocked(&self, from: usize, to: usize) -> bool {
        let now = self.shared.elapsed();
        self.state().blocked.get(&(from, to)).is_some_and(|until| now < *until)
    }

    fn hub(&self, node: usize) -> Option<Hub> {
        self.state().hubs.get(&node).map(|store| Hub::new(Arc::clone(store)))
    }

    fn send(&self, from: usize, to: usize) -> u64 {
        let mut state = self.state();
        let sent = state.sent.entry((from, to)).or_default();
        *sent += 1;
        *sent
    }

    fn deliver(&self, from: usize, to: usize, number: u64) {
        let mut state = self.state();
        let newest = state.newest_delivered.entry((from, to)).or_default();
        let late = number < *newest;
        *newest = number.max(*newest);
        drop(state);
        if late {
            self.shared.fault(Fault::Reorder);
        }
    }

    /// Leaves out what the node refuses now.
    fn split(&self, node: usize, request: &mut PushRequest) -> Vec<(usize, EventId, Outcome)> {
        let mut state = self.state();
        let which = state.refusing.get(&node).copied();
        let mut out = Vec::new();
        let memory = state.memory.entry(node).or_default();
        let entries = Arc::unwrap_or_clone(std::mem::take(&mut request.entries));
        let mut taken = Vec::with_capacity(entries.len());
        for (i, offered) in entries.into_iter().enumerate() {
            let id = offered.event.id.clone();
            let refused = which.is_some_and(|salt| fnv(id.as_str(), salt).is_multiple_of(4));
            if planted(Plant::WipedHubAcknowledges) && memory.contains(&id) {
                out.push((i, id, Outcome::Duplicate));
            } else if refused {
                self.shared.state().ledger.refused = true;
                let refusal = Refusal::new(RefusalCode::Quota, format!("{id}: there is no room for it now"));
                out.push((i, id, Outcome::Refused(refusal)));
            } else {
                taken.push(offered);
            }
        }
        request.entries = Arc::new(taken);
        out
    }

    async fn serve(self: Arc<Self>, node: usize, request: Request) -> Result<Reply> {
        let down = || Error::new(ErrorKind::Unavailable, "connect", format!("n{node} is down"));
        let hub = self.hub(node).ok_or_else(down)?;
        let (_, call) = request.calls();
        self.shared.point(call, Phase::Before).await;
        let reply = match request {
            Request::Greet(greeting) => hub.greet(greeting).await.map(Reply::Greet),
            Request::Pull(pull) => hub.pull(pull).await.map(Reply::Pull),
            Request::Push(mut push) => {
                let apart = self.split(node, &mut push);
                let mut reply = hub.push(push).await?;
                for (at, id, outcome) in apart {
                    reply.acks.insert(at, (id, outcome));
                }
                let taken = reply.acks.iter().filter(|(_, o)| matches!(o, Outcome::Accepted { .. }));
                self.state().memory.entry(node).or_default().extend(taken.map(|(id, _)| id.clone()));
                let found =
                    oracle::acknowledgements::answered(&self.shared.state().ledger.books[node], &reply.acks);
                self.shared.judge(found);
                Ok(Reply::Push(reply))
            }
        };
        self.shared.point(call, Phase::After).await;
        reply
    }
}

fn fnv(text: &str, salt: u64) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325 ^ salt, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3))
        >> 7
}

/// The way from one node to another.
#[derive(Debug)]
pub(crate) struct SimTransport {
    from: usize,
    to: usize,
    network: Arc<Network>,
    rng: Mutex<Rng>,
    /// How many requests of a hundred go wrong.
    trouble: usize,
}

/// What happens to one request.
#[derive(Debug)]
struct Fate {
    out: Duration,
    back: Duration,
    fault: Option<Fault>,
    again: Duration,
    choice: u64,
}

impl SimTransport {
    pub(crate) fn new(from: usize, to: usize, network: &Arc<Network>, rng: Rng, trouble: usize) -> Self {
        Self { from, to, network: Arc::clone(network), rng: Mutex::new(rng), trouble }
    }

    fn fate(&self) -> Fate {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let calm = self.network.state().calm;
        let kinds = [
            Fault::LostRequest,
            Fault::LostAnswer,
            Fault::Duplicate,
            Fault::Delay,
            Fault::TruncatedPage,
            Fault::ReplayedPage,
            Fault::ErrorAfterCommit,
        ];
        let fault = (rng.percent(self.trouble) && !calm).then(|| *rng.pick(&kinds));
        let mut fate = Fate {
            out: Duration::from_millis(rng.between(1, 40) as u64),
            back: Duration::from_millis(rng.between(1, 40) as u64),
            fault,
            again: Duration::from_millis(rng.between(1, 3_000) as u64),
            choice: rng.next(),
        };
        if fault == Some(Fault::Delay) {
            fate.out = Duration::from_millis(rng.between(200, 4_000) as u64);
        }
        fate
    }

    /// Carries a request over, and gives where its answer will arrive.
    fn carry(&self, request: Request, after: Duration) -> oneshot::Receiver<Result<Reply>> {
        let (answer, arrives) = oneshot::channel();
        let (network, from, to) = (Arc::clone(&self.network), self.from, self.to);
        let number = network.send(from, to);
        self.network.shared.spawn(to, Kind::Serve, async move {
            tokio::time::sleep(after).await;
            network.deliver(from, to, number);
            let reply = Arc::clone(&network).serve(to, request).await;
            // The one who asked may have gone.
            let _ = answer.send(reply);
        });
        arrives
    }

    async fn request(&self, request: Request) -> Result<Reply> {
        let shared = &self.network.shared;
        let (call, _) = request.calls();
        shared.point(call, Phase::Before).await;
        let fate = self.fate();
        let what = request.describe();
        let (from, to) = (self.from, self.to);
        shared.note(format_args!(
            "n{from} → n{to} {what}{}",
            fate.fault.map(|f| format!(" [{}]", f.as_str())).unwrap_or_default()
        ));
        let reply = self.exchange(request, &fate).await;
        match &reply {
            Ok(reply) => shared.note(format_args!("n{from} ← n{to} {}", reply.describe())),
            Err(e) => shared.note(format_args!("n{from} ← n{to} {}: {}", e.kind(), e.message())),
        }
        shared.point(call, Phase::After).await;
        reply
    }

    async fn exchange(&self, request: Request, fate: &Fate) -> Result<Reply> {
        let timeout = || Error::new(ErrorKind::Timeout, "request", "no answer");
        let shared = &self.network.shared;
        let relevant = match fate.fault {
            Some(Fault::TruncatedPage) => !matches!(request, Request::Greet(_)),
            Some(Fault::ReplayedPage) => matches!(request, Request::Pull(_)),
            other => other.is_some(),
        };
        let fault = fate.fault.filter(|_| relevant);
        if let Some(fault) = fault.filter(|f| *f != Fault::ReplayedPage) {
            shared.fault(fault);
        }
        if fault == Some(Fault::LostRequest) || self.network.is_blocked(self.from, self.to) {
            tokio::time::sleep(PATIENCE).await;
            return Err(timeout());
        }
        if fault == Some(Fault::Duplicate) {
            drop(self.carry(request.clone(), fate.out + fate.again));
        }
        let asked = if let Request::Pull(pull) = &request { Some(pull.clone()) } else { None };
        let arrives = self.carry(request, fate.out);
        let answered = tokio::time::timeout(PATIENCE, arrives).await;
        let reset = |_| Error::new(ErrorKind::Unavailable, "request", "the connection was reset");
        let reply = answered.map_err(|_| timeout())?.map_err(reset)?;
        if fault == Some(Fault::LostAnswer) || self.network.is_blocked(self.to, self.from) {
            tokio::time::sleep(PATIENCE).await;
            return Err(timeout());
        }
        tokio::time::sleep(fate.back).await;
        match fault {
            Some(Fault::ErrorAfterCommit) => {
                Err(Error::new(ErrorKind::Unavailable, "request", "the answer is 500"))
            }
            Some(Fault::TruncatedPage) => {
                let kind = if fate.choice & 1 == 0 { ErrorKind::Unavailable } else { ErrorKind::Protocol };
                Err(Error::new(kind, "request", "the answer breaks off"))
            }
            _ => Ok(self.replayed(asked, reply?, fault, fate.choice)),
        }
    }

    /// Keeps a page for later, and gives what was once answered to the same request, if that is the fault.
    fn replayed(&self, asked: Option<PullRequest>, reply: Reply, fault: Option<Fault>, choice: u64) -> Reply {
        let (Some(asked), Reply::Pull(page)) = (asked, &reply) else { return reply };
        let mut state = self.network.state();
        let kept = state.pages.entry((self.from, self.to)).or_default();
        let same: Vec<PullPage> =
            kept.iter().filter(|(a, _)| is_same(a, &asked)).map(|(_, p)| p.clone()).collect();
        kept.push((asked, page.clone()));
        if kept.len() > PAGES_KEPT {
            kept.remove(0);
        }
        drop(state);
        if fault != Some(Fault::ReplayedPage) || same.is_empty() {
            return reply;
        }
        self.network.shared.fault(Fault::ReplayedPage);
        Reply::Pull(same[usize::try_from(choice >> 1).unwrap_or(0) % same.len()].clone())
    }
}

fn is_same(a: &PullRequest, b: &PullRequest) -> bool {
    (a.log, a.after, a.limit, &a.missing_from, &a.filter)
        == (b.log, b.after, b.limit, &b.missing_from, &b.filter)
}

fn mixed_up() -> Error {
    Error::new(ErrorKind::Protocol, "request", "an answer to another question")
}

#[async_trait]
impl Transport for SimTransport {
    fn address(&self) -> String {
        address(self.to)
    }

    async fn greet(&self, greeting: Greeting) -> Result<PeerState> {
        match self.request(Request::Greet(greeting)).await? {
            Reply::Greet(state) => Ok(state),
            _ => Err(mixed_up()),
        }
    }

    async fn pull(&self, request: PullRequest) -> Result<PullPage> {
        match self.request(Request::Pull(request)).await? {
            Reply::Pull(page) => Ok(page),
            _ => Err(mixed_up()),
        }
    }

    async fn push(&self, request: PushRequest) -> Result<PushReply> {
        match self.request(Request::Push(request)).await? {
            Reply::Push(reply) => Ok(reply),
            _ => Err(mixed_up()),
        }
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// Where a node is reached.
pub(crate) fn address(node: usize) -> String {
    format!("sim:n{node}")
}
