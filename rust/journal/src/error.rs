//! What can go wrong with a desk directory, its log and its control file, in words for people.
//!
//! Returned by every cold function of this crate; the hot ones (`Ring`) cannot fail, they assert.
//! What must stay true: a message names the thing, its value, the bound and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Result of this crate's cold functions.
pub type Result<T> = std::result::Result<T, JournalError>;

/// Why a desk, a log or a shared file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A system call failed.
    #[error("{path}: cannot {doing}: {source}{hint}", hint = hint_of(source))]
    Io {
        /// File or directory.
        path: PathBuf,
        /// What was being done, as a verb.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// No desk lives in the directory.
    #[error(
        "{path}: no desk here (no file desk_id); create one with `pyoms run`, or name another with --desk"
    )]
    NoDesk {
        /// The directory.
        path: PathBuf,
    },
    /// A desk already lives in the directory.
    #[error("{path}: already holds desk {desk_id}; open it, or choose an empty directory")]
    DeskExists {
        /// The directory.
        path: PathBuf,
        /// Its id.
        desk_id: String,
    },
    /// Files of a desk without its id.
    #[error(
        "{path}: holds {found} but no desk_id: a creation was cut short or desk_id was removed; restore desk_id from a copy, or move {found} away if this desk never traded"
    )]
    HalfMade {
        /// The directory.
        path: PathBuf,
        /// What stands there.
        found: &'static str,
    },
    /// The id file holds something else.
    #[error(
        "{path}: desk_id must be 32 hexadecimal digits, found {found:?}; restore it from a copy"
    )]
    BadDeskId {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
    },
    /// Another engine runs on the directory.
    #[error(
        "{path}: another engine holds this desk: process {pid}; stop it first, or use another --desk"
    )]
    LockHeld {
        /// The lock file.
        path: PathBuf,
        /// Process that holds it, 0 when it did not say.
        pid: u32,
        /// When that process started, clock ticks since boot.
        start_time: u64,
    },
    /// Another engine writes the ring, from another directory with the same id.
    #[error(
        "{path}: another engine writes this ring: the desk in {desk} and the desk it runs on have one desk_id, so one is a copy; stop the other engine first. A copy of a desk directory cannot run beside its original: it needs its own desk_id, so start a new desk in an empty directory"
    )]
    RingHeld {
        /// The ring.
        path: PathBuf,
        /// The desk directory that was refused.
        desk: PathBuf,
    },
    /// A file or directory belongs to someone else, is open to others or is a link.
    #[error("{path}: {what}; it must belong to user {uid}, be no link, and have mode {mode:04o}")]
    Unsafe {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong, with the value.
        what: String,
        /// The user that must own it.
        uid: u32,
        /// The mode it must have.
        mode: u32,
    },
    /// Shared memory or disk has no room.
    #[error("{path}: needs {needed} bytes, the file system has {free} free; {advice}")]
    NoSpace {
        /// The file.
        path: PathBuf,
        /// Bytes asked for.
        needed: u64,
        /// Bytes there.
        free: u64,
        /// What to do.
        advice: &'static str,
    },
    /// An option is out of range.
    #[error("{name} is {value}, allowed is {bound}")]
    Value {
        /// The option.
        name: &'static str,
        /// Its value.
        value: u64,
        /// What is allowed.
        bound: &'static str,
    },
    /// The file was written with other record tables.
    #[error(
        "{path}: layout hash {found:#018x}, this build has {ours:#018x}; use the build that wrote it"
    )]
    ForeignLayout {
        /// The file.
        path: PathBuf,
        /// Its hash.
        found: u64,
        /// Ours.
        ours: u64,
    },
    /// The file belongs to another log.
    #[error(
        "{path}: belongs to log {found:#018x}, this desk's log is {ours:#018x}; move the file away"
    )]
    ForeignLog {
        /// The file.
        path: PathBuf,
        /// Its log id.
        found: u64,
        /// Ours.
        ours: u64,
    },
    /// A header cannot be read.
    #[error("{path}: bad header: {what}; restore the file from a copy")]
    BadHeader {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The chain of segments has a gap.
    #[error(
        "{path}: event {expected_seq} is missing: the log goes on at {found_seq}; restore the segment file that holds it"
    )]
    MissingSegment {
        /// The file after the gap, or the directory.
        path: PathBuf,
        /// First sequence that is missing.
        expected_seq: u64,
        /// Where the log goes on.
        found_seq: u64,
    },
    /// The directory of the segments holds none.
    #[error(
        "{path}: the log has no segment files, so every event is missing; restore them from a copy or a replica (`pyoms replay DIR --verify` checks the result)"
    )]
    NoSegments {
        /// The directory.
        path: PathBuf,
    },
    /// Two files claim the same events.
    #[error(
        "{first} and {second} both hold event {event_seq}; the log has two heads: move the foreign file away"
    )]
    TwoHeads {
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// A sequence that both hold.
        event_seq: u64,
    },
    /// A record in the middle of the log does not hold.
    #[error(
        "{path}: damaged at byte {offset} (event {event_seq}): {what}; nothing was changed: restore the file from a copy or a replica (`pyoms replay DIR --verify`, with the desk directory for DIR, checks every record)"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Byte in the file.
        offset: u64,
        /// The event that should stand there.
        event_seq: u64,
        /// What was found.
        what: String,
    },
    /// An earlier write failed; the log takes nothing more.
    #[error(
        "{path}: the log is poisoned by an earlier failure ({cause}); it is never retried: mend the disk, restart the engine, reconcile"
    )]
    Poisoned {
        /// The file whose write failed.
        path: PathBuf,
        /// What the system said then.
        cause: String,
    },
    /// The ring in memory holds something it may not.
    #[error(
        "the ring in memory is damaged at event {event_seq}: {what}; restart the engine, the segments hold everything before it"
    )]
    RingDamaged {
        /// The event.
        event_seq: u64,
        /// What was found.
        what: String,
    },
    /// The control file is not sound, so it cannot be changed.
    #[error("{path}: the control file is not sound, so the desk is killed: {why}")]
    ControlKilled {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The other side of a command ring broke its rules.
    #[error(
        "command ring of client {client_id}: head {head} is outside {tail}..={tail} + {slots}; the client is cut off"
    )]
    CommandRing {
        /// Number of the client.
        client_id: u32,
        /// What the client wrote.
        head: u64,
        /// What the engine has taken.
        tail: u64,
        /// Slots of the ring.
        slots: u64,
    },
}

fn hint_of(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => "; check owner and mode, or choose another directory",
        io::ErrorKind::StorageFull => "; free space on that file system",
        io::ErrorKind::ReadOnlyFilesystem => "; choose a directory on a writable file system",
        _ => "",
    }
}

/// Wraps a failed system call with its path and the verb of what was being done.
pub(crate) trait Doing<T> {
    fn doing(self, path: &Path, doing: &'static str) -> Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, path: &Path, doing: &'static str) -> Result<T> {
        self.map_err(|e| JournalError::Io { path: path.into(), doing, source: e.into() })
    }
}
