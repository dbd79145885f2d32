//! What a desk is opened with, and what can go wrong. Filled in by `native` from the configuration
//! file and by tests; read once, at open. What must stay true: the safe side is the default.

use crate::World;
use layout::Tier;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Result of this crate's cold functions.
pub type Result<T> = std::result::Result<T, HostError>;

/// Who writes the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalMode {
    /// A thread of its own.
    Thread,
    /// The caller's thread, within `poll`, `turn` and `flush`.
    Inline,
}

/// One venue and the socket behind which it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenueLink {
    /// Name as defined; the link begins to connect once the name has its number.
    pub name: String,
    /// Unix stream socket of the venue.
    pub socket_path: PathBuf,
    /// Ask the venue to cancel our orders when the link drops.
    pub cancel_on_disconnect: bool,
    /// Virtual time, handed out by the venue; then it is the desk's only link.
    pub lock_step: bool,
    /// Heartbeat interval; 0 for none.
    pub heartbeat_ms: u32,
    /// Single cancels that it takes a second; 0 for no bound.
    pub cancels_per_s_max: u32,
    /// It takes mass cancels: a kill sends one before the single ones.
    pub mass_cancel: bool,
    /// It is asked what is open once all that a kill stops has ended; without, their reports are
    /// the only proof.
    pub confirms_kills: bool,
    /// A kill that it has not confirmed after so long drops its session; 0 for never.
    pub kill_confirm_ms_max: u32,
}

impl Default for VenueLink {
    fn default() -> Self {
        Self {
            name: String::new(),
            socket_path: PathBuf::new(),
            cancel_on_disconnect: true,
            lock_step: false,
            heartbeat_ms: 0,
            cancels_per_s_max: 0,
            mass_cancel: false,
            confirms_kills: true,
            kill_confirm_ms_max: 0,
        }
    }
}

/// What becomes of a session's orders when its client is gone; a session that is not named here has
/// them canceled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPolicy {
    /// Name as defined.
    pub name: String,
    /// Cancel the session's live orders when its client closes, dies or falls silent.
    pub cancel_on_disconnect: bool,
}

/// One of the people of the desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Name, up to 24 bytes.
    pub name: String,
    /// May ask for and approve what takes two: a release of the kill switch, looser limits.
    pub risk: bool,
    /// The machine's user that acts as this person, and nobody else; `None`: any that comes in.
    pub uid: Option<u32>,
}

/// Who asks for something: the name that he says, and the user whose process says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who<'a> {
    /// Name in `[people]`.
    pub name: &'a str,
    /// User of the machine, by the peer credentials of the connection.
    pub uid: u32,
}

/// A person of this very process.
impl<'a> From<&'a str> for Who<'a> {
    fn from(name: &'a str) -> Self {
        Self { name, uid: rustix::process::geteuid().as_raw() }
    }
}

/// How a desk is opened.
#[derive(Clone, Debug)]
pub struct DeskOptions {
    /// Desk directory; made when it holds no desk. Unused at tier `memory`.
    pub path: PathBuf,
    /// Where the ring lies instead of `/dev/shm`: for tests.
    pub shm_root: Option<PathBuf>,
    /// Name said to venues, up to 56 bytes.
    pub name: String,
    /// Durability tier.
    pub tier: Tier,
    /// Slots of the ring, a power of two.
    pub ring_slots: u64,
    /// Records of each new segment; a multiple of 32.
    pub segment_records: u64,
    /// Sizes of the control file of a new desk.
    pub control: journal::ControlSizes,
    /// Capacities of the engine.
    pub engine: engine::EngineConfig,
    /// Venues.
    pub venues: Vec<VenueLink>,
    /// People.
    pub people: Vec<Person>,
    /// Sessions whose orders may outlive their client.
    pub sessions: Vec<SessionPolicy>,
    /// Hash of the configuration, for the log.
    pub config_hash: u64,
    /// The engine thread spins instead of sleeping.
    pub spin: bool,
    /// Processor that the engine thread is pinned to.
    pub cpu: Option<usize>,
    /// Who writes the segments.
    pub journal: JournalMode,
    /// Lock-step: time of the first event of a new log.
    pub start_ns: i64,
    /// Drill: the process kills itself (SIGKILL) at the first new order that is appended at or above
    /// this sequence, before a byte of it is sent.
    pub crash_at_seq: Option<u64>,
    /// Another world than the machine's: the simulator's.
    pub world: Option<Arc<dyn World>>,
}

impl Default for DeskOptions {
    fn default() -> Self {
        let ring = journal::RingOptions::default();
        Self {
            path: PathBuf::new(),
            shm_root: None,
            name: "pyoms".into(),
            tier: Tier::Process,
            ring_slots: ring.slots,
            segment_records: ring.segment_records,
            control: journal::ControlSizes::default(),
            engine: engine::EngineConfig::default(),
            venues: Vec::new(),
            people: Vec::new(),
            sessions: Vec::new(),
            config_hash: 0,
            spin: false,
            cpu: None,
            journal: JournalMode::Thread,
            start_ns: 0,
            crash_at_seq: None,
            world: None,
        }
    }
}

impl DeskOptions {
    pub(crate) fn lock_step(&self) -> bool {
        self.venues.iter().any(|venue| venue.lock_step)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let bad = |what: String| Err(HostError::Config { what });
        if self.lock_step() && self.venues.len() != 1 {
            let count = self.venues.len();
            return bad(format!("lock-step has one venue, {count} are configured"));
        }
        let most = self.engine.venues_max - 1;
        if self.venues.len() > most {
            return bad(format!("{} venues, venues_max allows {most}", self.venues.len()));
        }
        for (index, venue) in self.venues.iter().enumerate() {
            if self.venues[..index].iter().any(|other| other.name == venue.name) {
                return bad(format!("venue {} is configured twice", venue.name));
            }
        }
        if self.engine.log_reserve >= self.ring_slots {
            let (reserve, slots) = (self.engine.log_reserve, self.ring_slots);
            return bad(format!("log_reserve {reserve} must be below ring_slots {slots}"));
        }
        let (c, e) = (&self.control, &self.engine);
        let pairs = [
            ("accounts_max", c.accounts_max, e.accounts_max),
            ("instruments_max", c.instruments_max, e.instruments_max),
            ("venues_max", c.venues_max, e.venues_max),
            ("sessions_max", c.sessions_max, e.sessions_max),
            ("strategies_max", c.strategies_max, e.strategies_max),
        ];
        for (name, words, rows) in pairs {
            if (words as usize) < rows - 1 {
                return bad(format!(
                    "{name}: the control file has {words} words, needed are {rows}"
                ));
            }
        }
        Ok(())
    }
}

/// Why a desk could not be opened or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// Directory, log, ring or control file.
    #[error(transparent)]
    Journal(#[from] journal::JournalError),
    /// A system call failed.
    #[error("{path}: cannot {doing}: {source}")]
    Io {
        /// File or socket.
        path: PathBuf,
        /// What was being done, as a verb.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Options that do not fit together.
    #[error("{what}")]
    Config {
        /// What, with its value and bound.
        what: String,
    },
    /// Lock-step: no turn came in time.
    #[error("venue {venue}: no turn within {waited_ms} ms; the link is {state}{why}")]
    NoTurn {
        /// Venue.
        venue: String,
        /// How long was waited.
        waited_ms: u128,
        /// State of the link.
        state: &'static str,
        /// Last error of the link.
        why: String,
    },
    /// A call that has no place now.
    #[error("{what}")]
    Refused {
        /// What was asked and why not.
        what: String,
    },
    /// A client's command ring is full.
    #[error(transparent)]
    Full(#[from] journal::Full),
}

pub(crate) trait Doing<T> {
    fn doing(self, path: &Path, doing: &'static str) -> Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, path: &Path, doing: &'static str) -> Result<T> {
        self.map_err(|e| HostError::Io { path: path.into(), doing, source: e.into() })
    }
}

pub(crate) fn refused<T>(what: impl Into<String>) -> Result<T> {
    Err(HostError::Refused { what: what.into() })
}
