//! Moving a log to another store, and looking at it closely.

use async_trait::async_trait;

use crate::{
    error::{Error, ErrorKind, Result},
    plan::{Changes, NodeState},
};

/// Whether a log can be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It can.
    Live,
    /// A copy into it has begun and is not complete.
    Filling,
    /// It was moved: it can be read, and nothing is written to it any more.
    Sealed {
        /// Where it was moved to, as a URL without credentials.
        successor: String,
    },
}

impl Standing {
    /// The standing as one text, which stores may keep: empty, `filling`, or `sealed` with the successor.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Live => String::new(),
            Self::Filling => "filling".into(),
            Self::Sealed { successor } => format!("sealed {successor}"),
        }
    }

    /// The standing from its text.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] for another text.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "" => Ok(Self::Live),
            "filling" => Ok(Self::Filling),
            _ => match text.strip_prefix("sealed ") {
                Some(successor) => Ok(Self::Sealed { successor: successor.to_owned() }),
                None => Err(Error::new(
                    ErrorKind::Corrupt,
                    "open store",
                    format!(
                        "the store's standing is damaged: {:?}",
                        text.chars().take(40).collect::<String>()
                    ),
                )),
            },
        }
    }

    /// Whether the store may be opened as what it is.
    ///
    /// # Errors
    /// [`ErrorKind::Unfinished`] while it is being filled.
    pub fn may_open(&self) -> Result<()> {
        match self {
            Self::Filling => Err(Error::new(
                ErrorKind::Unfinished,
                "open store",
                "a copy into this store was not finished; run the same `synckit copy` again, and it goes on",
            )),
            _ => Ok(()),
        }
    }

    /// The standing once it is sealed for this successor.
    ///
    /// # Errors
    /// [`ErrorKind::Sealed`] if it is sealed for another; [`ErrorKind::Unfinished`] while it is being filled.
    pub fn sealed(&self, successor: &str) -> Result<Self> {
        match self {
            Self::Sealed { successor: other } if other == successor => {}
            _ => self.may_write()?,
        }
        Ok(Self::Sealed { successor: successor.to_owned() })
    }

    /// Whether the store is being filled.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is not.
    pub fn may_fill(&self) -> Result<()> {
        if *self == Self::Filling {
            return Ok(());
        }
        Err(Error::invalid("fill store", "the store is not being filled"))
    }

    /// Whether the store may be written to.
    ///
    /// # Errors
    /// [`ErrorKind::Sealed`], with the successor, if it was moved; [`ErrorKind::Unfinished`] while it is being filled.
    pub fn may_write(&self) -> Result<()> {
        match self {
            Self::Sealed { successor } => Err(Error::new(
                ErrorKind::Sealed,
                "write",
                format!("this log was moved to {successor}; write there"),
            )),
            _ => self.may_open(),
        }
    }
}

/// What a store holds beside the entries, the checkpoints and the quarantine, which can be read as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Table {
    /// The heads of aggregates: [`Changes::heads`].
    Heads,
    /// Decisions: [`Changes::decisions`].
    Decisions,
    /// Reviews: [`Changes::reviews`].
    Reviews,
    /// Events withdrawn: [`Changes::withdrawn`].
    Withdrawn,
    /// Claims known beside those of the entries that count: [`Changes::others`].
    OtherClaims,
    /// Stamps known without an entry: [`Changes::known_stamps`].
    KnownStamps,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Heads, Self::Decisions, Self::Reviews, Self::Withdrawn, Self::OtherClaims, Self::KnownStamps];
}

/// A page of a [`Table`].
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// The rows, as the change that writes them.
    pub changes: Changes,
    /// Where the next page begins: a key that means something to this store alone. None at the end.
    pub next: Option<Vec<u8>>,
}

/// What a store can do beside its daily work. A store that can be moved, or examined closely, has it; see
/// [`EventStore::maintenance`](crate::EventStore::maintenance).
///
/// A store is *filled* by [`fill`](Self::fill) and [`complete`](Self::complete). The backend makes one to be filled from
/// the identity of another; it is [`Standing::Filling`] until it is complete, cannot be opened or written to meanwhile, and
/// can be opened again to be filled further.
#[async_trait]
pub trait StoreMaintenance: Send + Sync {
    /// Whether the log can be written to.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn standing(&self) -> Result<Standing>;

    /// The state of the node.
    ///
    /// # Errors
    /// Any error of the storage engine.
    async fn node(&self) -> Result<NodeState>;

    /// The next rows of a table: those after the key `after`, about `limit` of them.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a key that this store did not give; any error of the storage engine.
    async fn rows(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Rows>;

    /// Stores rows of another store in this one, in one transaction. Rows that are there already are replaced, or left
    /// alone if they are the same; entries have to come without gaps, each once.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if this store is not being filled, or entries do not follow on its end; any error of the
    /// storage engine.
    async fn fill(&self, changes: Changes) -> Result<()>;

    /// Ends the filling: the node is this one from now on, and the store can be opened and written to.
    ///
    /// What a store works out from its entries, such as the progress of each origin, it works out now.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if this store is not being filled, or its log does not end where the node says; any error of
    /// the storage engine.
    async fn complete(&self, node: NodeState) -> Result<()>;

    /// Seals the log: from now on it can be read and not written to, and who tries is told of the successor. To seal it
    /// again for the same successor changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Sealed`] if it is sealed for another successor; any error of the storage engine.
    async fn seal(&self, successor: &str) -> Result<()>;

    /// What the storage engine's own check finds wrong, and what does not fit together in the store's own tables, a line
    /// each, for people. Nothing, if all is well.
    ///
    /// # Errors
    /// Any error that keeps the engine from checking.
    async fn integrity(&self) -> Result<Vec<String>>;
}
