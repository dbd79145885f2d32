//! The control file: the kill switch on disk and in memory, and the handshake with every sender.
//!
//! Mapped by the host, by every sender and by whoever kills; DESIGN §6. What must stay true: a killer
//! writes the entity word, then the desk word with the next epoch; engaging never loosens; a file
//! that is not sound is a killed desk, never an error to shrug off (I5); a sender that sleeps has
//! said so and looks again before it sends (I1).
//!
//! ```text
//!  0 ControlHeader | 4096 desk word, alone on its line | 4160 accounts instruments venues sessions
//!  strategies, u64 each, id i is number i-1 of its block | next multiple of 64: ControlSender rows
//! ```
//! The header carries a checksum; a word carries none of its own, since each is changed alone by
//! compare and swap. So a flipped bit in a word is found only where it makes no sense: mode bits that
//! are no mode read as `halt`, and at open they, an epoch above the desk's or a desk epoch of zero
//! make the whole file unsound, which is killed. A flip from one mode to another is believed, and may
//! loosen; at a start the log's stricter mode engages the file again.
//!
//! Pairs: killer desk word SeqCst; sender word Acquire, then `seen_epoch` Release; killer
//! `seen_epoch` Acquire. Killer desk word SeqCst then `state` SeqCst; sender `state` SeqCst then word
//! SeqCst: one of the two sees the other.

use crate::desk::{DeskDir, open_nofollow, start_time_of, write_whole};
use crate::error::{Doing, JournalError, Result};
use crate::map::Mapping;
use layout::{
    CONTROL_DESK_WORD, CONTROL_MAGIC, CONTROL_WORDS, ControlHeader, ControlSender, KillMode,
    LAYOUT_HASH, Scope, control_epoch, control_file_size, control_mode, control_senders_offset,
    control_word, control_word_offset,
};
use rustix::fs::FlockOperation;
use std::fs::File;
use std::mem::offset_of;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

const FREE: u32 = 0;
const RUNNING: u32 = 1;
const PARKED: u32 = 2;
const CRC_AT: usize = offset_of!(ControlHeader, crc32c);
const ROW_SIZE: usize = size_of::<ControlSender>();
/// How long a killer waits for the file lock before it goes on without: a stopped process may hold it.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Words and rows of a control file; entity ids run from 1 to the number given here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlSizes {
    /// Accounts.
    pub accounts_max: u32,
    /// Instruments.
    pub instruments_max: u32,
    /// Venues.
    pub venues_max: u32,
    /// Sessions.
    pub sessions_max: u32,
    /// Strategies.
    pub strategies_max: u32,
    /// Sender rows.
    pub senders_max: u32,
}

impl Default for ControlSizes {
    fn default() -> Self {
        Self {
            accounts_max: 4_096,
            instruments_max: 65_536,
            venues_max: 64,
            sessions_max: 1_024,
            strategies_max: 1_024,
            senders_max: 64,
        }
    }
}

/// Mode of a word; a number that is no mode is the strictest.
pub fn mode_of(word: u64) -> KillMode {
    KillMode::from_code(control_mode(word)).unwrap_or(KillMode::Halt)
}

/// What a control file turned out to be.
#[derive(Debug)]
pub enum ControlState {
    /// It is sound; its words say what holds.
    Sound(ControlFile),
    /// It is missing, short, noisy or wrongly owned: the desk is killed.
    Killed {
        /// What is wrong with it, for people.
        why: String,
    },
}

/// A mapped control file.
#[derive(Clone, Debug)]
pub struct ControlFile {
    mapped: Arc<Mapped>,
}

#[derive(Debug)]
struct Mapped {
    mapping: Mapping,
    header: ControlHeader,
    path: PathBuf,
    file: File,
    inode: u64,
}

/// The entity words and the desk word at one moment; reused, so that reading allocates once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The desk word.
    pub desk: u64,
    /// Entity words in the order of the file.
    words: Vec<u64>,
    blocks: [u32; 5],
}

const SCOPES: [Scope; 5] =
    [Scope::Account, Scope::Instrument, Scope::Venue, Scope::Session, Scope::Strategy];

/// One entity or the desk, and the mode it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// Scope.
    pub scope: Scope,
    /// Entity of the scope, 0 for the desk.
    pub id: u32,
    /// Mode now.
    pub mode: KillMode,
    /// Epoch at which it was set.
    pub epoch: u64,
}

impl Words {
    fn switches(&self) -> impl Iterator<Item = (Scope, u32, u64)> + '_ {
        let ids = SCOPES
            .iter()
            .zip(self.blocks)
            .flat_map(|(scope, max)| (1..=max).map(move |id| (*scope, id)));
        let entities = ids.zip(&self.words).map(|((scope, id), word)| (scope, id, *word));
        std::iter::once((Scope::Desk, 0, self.desk)).chain(entities)
    }

    /// What no killer of ours has written: a word that is no mode, an epoch above the desk's, a desk
    /// epoch below one that was seen.
    pub fn noise(&self, seen_epoch: u64) -> Option<String> {
        let desk_epoch = control_epoch(self.desk);
        let is_noise = |word: u64| {
            let known = KillMode::from_code(control_mode(word)).is_some();
            !known || control_epoch(word) > desk_epoch || desk_epoch < seen_epoch.max(1)
        };
        let found = self.switches().find(|(_, _, word)| is_noise(*word));
        found.map(|(scope, id, word)| {
            format!("the word of {} {id} is noise: {word:#018x}", scope.name())
        })
    }

    /// Every scope whose mode differs from `old`, the desk first.
    pub fn diff(&self, old: &Words, mut changed: impl FnMut(Switch)) {
        let mut before = old.switches();
        for (scope, id, word) in self.switches() {
            let was = before.next().filter(|b| (b.0, b.1) == (scope, id)).map_or(0, |b| b.2);
            if mode_of(word) != mode_of(was) {
                changed(Switch { scope, id, mode: mode_of(word), epoch: control_epoch(word) });
            }
        }
    }

    /// Every scope that is not open, the desk first.
    pub fn engaged(&self) -> Vec<Switch> {
        let engaged = self.switches().filter(|s| mode_of(s.2) != KillMode::Open);
        engaged
            .map(|(scope, id, word)| Switch {
                scope,
                id,
                mode: mode_of(word),
                epoch: control_epoch(word),
            })
            .collect()
    }
}

/// One sender as the killer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// Its process.
    pub pid: u32,
    /// Venue it serves, 0 for all.
    pub venue_id: u32,
    /// Epoch it has acted on.
    pub seen_epoch: u64,
    /// `link_seq` of the last message it has handed over on its venue's link.
    pub sent_seq: u64,
    /// Bytes still in its socket buffers.
    pub unsent_bytes: u64,
    /// It sleeps and will look before it sends; never said of a dead one.
    pub parked: bool,
    /// Its process runs.
    pub alive: bool,
}

/// Who has answered a kill and who has not.
#[derive(Clone, Debug, Default)]
pub struct Ack {
    /// Senders that have acted on the epoch, sleep, or are gone.
    pub answered: Vec<SenderInfo>,
    /// Senders that have not: "engaged, not acknowledged by ...".
    pub waiting: Vec<SenderInfo>,
}

impl Ack {
    /// Whether every sender has answered.
    pub fn is_whole(&self) -> bool {
        self.waiting.is_empty()
    }
}

fn header_crc(header: &ControlHeader) -> u32 {
    arch::crc32c(&header.as_bytes()[..CRC_AT])
}

impl ControlFile {
    /// Writes a new file in place of none or of a damaged one, with the desk in `mode` at `epoch`.
    pub(crate) fn write_new(
        path: &Path,
        sizes: &ControlSizes,
        log_id: u64,
        mode: u8,
        epoch: u64,
    ) -> Result<()> {
        let mut header = ControlHeader {
            magic: CONTROL_MAGIC,
            layout_hash: LAYOUT_HASH,
            accounts_max: sizes.accounts_max,
            instruments_max: sizes.instruments_max,
            venues_max: sizes.venues_max,
            sessions_max: sizes.sessions_max,
            strategies_max: sizes.strategies_max,
            senders_max: sizes.senders_max,
            log_id,
            ..ControlHeader::ZERO
        };
        for (name, value) in blocks_of(&header) {
            if value == 0 || value > 1 << 24 {
                let bound = "1 to 16777216";
                return Err(JournalError::Value { name, value: value.into(), bound });
            }
        }
        header.crc32c = header_crc(&header);
        let mut bytes = vec![0u8; control_file_size(&header)];
        bytes[..size_of::<ControlHeader>()].copy_from_slice(header.as_bytes());
        let word = control_word(mode, epoch).to_le_bytes();
        bytes[CONTROL_DESK_WORD..CONTROL_DESK_WORD + 8].copy_from_slice(&word);
        let dir = path.parent().expect("a file in a directory");
        let name = path.file_name().and_then(|n| n.to_str()).expect("our own name");
        write_whole(dir, name, &bytes)
    }

    /// Opens the control file of a desk. Whatever is wrong with it means killed.
    pub fn open(desk: &DeskDir) -> ControlState {
        match Self::open_at(&desk.control_path(), desk.log_id()) {
            Ok(control) => ControlState::Sound(control),
            Err(why) => ControlState::Killed { why },
        }
    }

    fn open_at(path: &Path, log_id: u64) -> std::result::Result<Self, String> {
        let say =
            |what: &str, e: &dyn std::fmt::Display| format!("{}: {what}: {e}", path.display());
        let bad = |what: String| Err(format!("{}: {what}", path.display()));
        let file = open_nofollow(path, true).map_err(|e| say("cannot be opened", &e))?;
        let stat = file.metadata().map_err(|e| say("cannot be looked at", &e))?;
        let uid = rustix::process::geteuid().as_raw();
        let mode = stat.mode() & 0o7777;
        if !stat.is_file() {
            return bad("is no regular file".into());
        }
        if stat.uid() != uid {
            return bad(format!("belongs to user {}, not {uid}", stat.uid()));
        }
        if mode != 0o640 && mode != 0o600 {
            return bad(format!("has mode {mode:04o}, allowed are 0640 and 0600"));
        }
        if stat.nlink() != 1 {
            return bad(format!("has {} names, 1 is allowed", stat.nlink()));
        }
        let Ok(size) = usize::try_from(stat.len()) else { return bad("is too large".into()) };
        if size < CONTROL_WORDS {
            return bad(format!("{size} bytes are too few"));
        }
        let mapping =
            Mapping::shared(&file, path, size, true).map_err(|e| say("cannot be mapped", &e))?;
        let header: ControlHeader =
            zerocopy::transmute!(mapping.bytes::<{ size_of::<ControlHeader>() }>(0));
        if header.magic != CONTROL_MAGIC {
            return bad(format!("magic {:#018x} is not a control file's", header.magic));
        }
        if header.crc32c != header_crc(&header) {
            return bad("the header's checksum does not hold".into());
        }
        if header.layout_hash != LAYOUT_HASH {
            let found = header.layout_hash;
            return bad(format!("layout hash {found:#018x}, this build has {LAYOUT_HASH:#018x}"));
        }
        if header.log_id != log_id {
            return bad(format!("belongs to log {:#018x}, not {log_id:#018x}", header.log_id));
        }
        if size != control_file_size(&header) {
            return bad(format!("{size} bytes, {} expected", control_file_size(&header)));
        }
        let padding =
            mapping.bytes::<{ CONTROL_DESK_WORD - size_of::<ControlHeader>() }>(size_of::<
                ControlHeader,
            >());
        if padding.iter().any(|&b| b != 0) {
            return bad("bytes between header and words are not zero".into());
        }
        let (path, inode) = (path.to_path_buf(), stat.ino());
        let control = Self { mapped: Arc::new(Mapped { mapping, header, path, file, inode }) };
        // A word that is no mode, or an epoch above the desk's, was written by no killer of ours.
        let mut words = Words::default();
        control.read_all(&mut words);
        match words.noise(1) {
            Some(noise) => bad(noise),
            None => Ok(control),
        }
    }

    /// Writes a sound file in place of a damaged one, with the whole desk in `mode`. For the host,
    /// on the word of two people; an engine must hold the lock.
    pub fn rebuild(
        desk: &DeskDir,
        _lock: &crate::DeskLock,
        sizes: &ControlSizes,
        mode: KillMode,
        epoch: u64,
    ) -> Result<Self> {
        let path = desk.control_path();
        if mode == KillMode::Open {
            let bound = "a mode that kills: release it afterwards";
            return Err(JournalError::Value {
                name: "mode of a rebuilt control file",
                value: 0,
                bound,
            });
        }
        Self::write_new(&path, sizes, desk.log_id(), mode.code(), epoch.max(1))?;
        Self::open_at(&path, desk.log_id()).map_err(|why| JournalError::ControlKilled { path, why })
    }

    /// The desk word: one load, for before every send.
    #[inline(always)]
    pub fn word(&self) -> u64 {
        // Acquire; pairs with the SeqCst store of `engage`: who sees the epoch sees the entity word.
        self.mapped.mapping.u64_at(CONTROL_DESK_WORD).load(Ordering::Acquire)
    }

    /// Sizes the file was made with.
    pub fn sizes(&self) -> ControlSizes {
        let h = &self.mapped.header;
        ControlSizes {
            accounts_max: h.accounts_max,
            instruments_max: h.instruments_max,
            venues_max: h.venues_max,
            sessions_max: h.sessions_max,
            strategies_max: h.strategies_max,
            senders_max: h.senders_max,
        }
    }

    /// Whether the mapped file still stands under its name, whole, ours. A few system calls: ask
    /// about once a second; an answer with a reason means killed.
    pub fn check(&self) -> std::result::Result<(), String> {
        let m = &self.mapped;
        let bad = |what: String| Err(format!("{}: {what}", m.path.display()));
        let stat = match std::fs::symlink_metadata(&m.path) {
            Ok(stat) => stat,
            Err(error) => return bad(format!("is gone: {error}")),
        };
        if stat.ino() != m.inode {
            return bad("was replaced by another file".into());
        }
        if stat.len() != m.mapping.size() as u64 {
            return bad(format!("{} bytes, {} expected", stat.len(), m.mapping.size()));
        }
        let header = m.mapping.bytes::<{ size_of::<ControlHeader>() }>(0);
        if header != *m.header.as_bytes() {
            return bad("its header was written over".into());
        }
        let mode = stat.mode() & 0o7777;
        if (mode != 0o640 && mode != 0o600) || stat.uid() != rustix::process::geteuid().as_raw() {
            return bad(format!("has owner {} and mode {mode:04o}", stat.uid()));
        }
        Ok(())
    }

    /// Reads all words as of one desk epoch; `into` keeps its memory from call to call.
    pub fn read_all(&self, into: &mut Words) {
        let m = &self.mapped;
        into.blocks =
            blocks_of(&m.header).map(|(_, max)| max)[..5].try_into().expect("five blocks");
        let count = into.blocks.iter().map(|&n| n as usize).sum();
        into.words.resize(count, 0);
        // A killer that writes between the two looks is seen at the next one, so a few turns do; one
        // that never stops leaves words that are each true, and a desk word older than they are.
        for _ in 0..64 {
            into.desk = self.word();
            for (i, word) in into.words.iter_mut().enumerate() {
                *word = m.mapping.u64_at(CONTROL_WORDS + 8 * i).load(Ordering::Acquire);
            }
            if self.word() == into.desk {
                return;
            }
        }
    }

    fn offset_of(&self, scope: Scope, id: u32) -> Result<usize> {
        control_word_offset(&self.mapped.header, scope, id).ok_or(JournalError::Value {
            name: scope.name(),
            value: id.into(),
            bound: "an id from 1 to the file's *_max of that scope",
        })
    }

    /// Engages `mode` for a scope and returns the new epoch, on disk when it returns. Never loosens.
    ///
    /// A stopped process that holds the file lock cannot hold up a kill: after a second the words
    /// are written without it, which is safe since each is written by compare and swap.
    pub fn engage(&self, scope: Scope, id: u32, mode: KillMode) -> Result<u64> {
        let offset = self.offset_of(scope, id)?;
        let _lock = self.lock_for(LOCK_WAIT)?;
        let stricter = |was: KillMode| was.max(mode);
        self.set(scope, offset, stricter)
    }

    /// Opens a scope again and returns the new epoch, on disk when it returns. The caller has the
    /// word of two people; the lock must be had.
    pub fn release(&self, scope: Scope, id: u32) -> Result<u64> {
        let offset = self.offset_of(scope, id)?;
        let Some(_lock) = self.lock_for(LOCK_WAIT)? else {
            let source = std::io::Error::from(std::io::ErrorKind::WouldBlock);
            let doing = "take its lock, which another process holds";
            return Err(JournalError::Io { path: self.mapped.path.clone(), doing, source });
        };
        self.set(scope, offset, |_| KillMode::Open)
    }

    /// Entity word first, then the desk word with the next epoch, then disk.
    fn set(&self, scope: Scope, offset: usize, mode: impl Fn(KillMode) -> KillMode) -> Result<u64> {
        let m = &self.mapped;
        if scope != Scope::Desk {
            let next = control_epoch(self.word()) + 1;
            let word = m.mapping.u64_at(offset);
            let set = |was| Some(control_word(mode(mode_of(was)).code(), next));
            // Release; pairs with the Acquire of `read_all` by way of the desk word.
            let _ = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, set);
        }
        let desk = m.mapping.u64_at(CONTROL_DESK_WORD);
        let set = |was| {
            let desk_mode = if scope == Scope::Desk { mode(mode_of(was)) } else { mode_of(was) };
            Some(control_word(desk_mode.code(), control_epoch(was) + 1))
        };
        // SeqCst; pairs with `Sender::park` and `unpark`, and with the Acquire of `word`.
        let was =
            desk.fetch_update(Ordering::SeqCst, Ordering::SeqCst, set).unwrap_or_else(|word| word);
        m.file.sync_data().doing(&m.path, "sync it")?;
        Ok(control_epoch(was) + 1)
    }

    /// The file lock, on an open file of its own so that threads exclude one another too; `None`
    /// when it cannot be had in time.
    fn lock_for(&self, wait: Duration) -> Result<Option<File>> {
        let m = &self.mapped;
        let file = open_nofollow(&m.path, true).doing(&m.path, "open it for its lock")?;
        let began = Instant::now();
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(file)),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).doing(&m.path, "lock it"),
            }
            if began.elapsed() > wait {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn row(&self, index: u32) -> usize {
        control_senders_offset(&self.mapped.header) + index as usize * ROW_SIZE
    }

    /// Takes a row for a sender to `venue_id` (0: all) of this process. It begins parked, with the
    /// present epoch seen: call [`Sender::unpark`] before the first send.
    pub fn register(&self, venue_id: u32) -> Result<Sender> {
        let Some(_lock) = self.lock_for(LOCK_WAIT)? else {
            let source = std::io::Error::from(std::io::ErrorKind::WouldBlock);
            let doing = "take its lock, which another process holds";
            return Err(JournalError::Io { path: self.mapped.path.clone(), doing, source });
        };
        let m = &self.mapped.mapping;
        let senders_max = self.mapped.header.senders_max;
        let pid = std::process::id();
        for row in (0..senders_max).map(|i| self.row(i)) {
            let state = m.u32_at(row + offset_of!(ControlSender, state));
            if state.load(Ordering::SeqCst) != FREE && self.info(row).is_some_and(|s| s.alive) {
                continue;
            }
            state.store(PARKED, Ordering::SeqCst);
            let start_time = start_time_of(pid).unwrap_or(0);
            let word =
                |offset: usize, value: u64| m.u64_at(row + offset).store(value, Ordering::SeqCst);
            m.u32_at(row + offset_of!(ControlSender, pid)).store(pid, Ordering::SeqCst);
            m.u32_at(row + offset_of!(ControlSender, venue_id)).store(venue_id, Ordering::SeqCst);
            word(offset_of!(ControlSender, start_time), start_time);
            word(offset_of!(ControlSender, sent_seq), 0);
            word(offset_of!(ControlSender, unsent_bytes), 0);
            word(offset_of!(ControlSender, seen_epoch), control_epoch(self.word()));
            return Ok(Sender { control: self.clone(), row });
        }
        let bound = "fewer senders than the control file has rows (senders_max)";
        Err(JournalError::Value { name: "senders", value: senders_max.into(), bound })
    }

    /// The sender in a row; `None` for a free one.
    fn info(&self, row: usize) -> Option<SenderInfo> {
        let m = &self.mapped.mapping;
        let word = |offset: usize| m.u64_at(row + offset).load(Ordering::Acquire);
        let state = m.u32_at(row + offset_of!(ControlSender, state)).load(Ordering::SeqCst);
        if state == FREE {
            return None;
        }
        let pid = m.u32_at(row + offset_of!(ControlSender, pid)).load(Ordering::Acquire);
        let start_time = word(offset_of!(ControlSender, start_time));
        // Death comes before the state: a killed process leaves its row as it stood, parked or not.
        let alive = start_time_of(pid) == Some(start_time);
        Some(SenderInfo {
            pid,
            venue_id: m.u32_at(row + offset_of!(ControlSender, venue_id)).load(Ordering::Acquire),
            // Acquire; pairs with the Release of `Sender::publish_seen`.
            seen_epoch: word(offset_of!(ControlSender, seen_epoch)),
            sent_seq: word(offset_of!(ControlSender, sent_seq)),
            unsent_bytes: word(offset_of!(ControlSender, unsent_bytes)),
            parked: alive && state == PARKED,
            alive,
        })
    }

    /// Who has answered the kill of `epoch` so far: dead, acted on it, or parked. One entry a row, of
    /// which a process may have several.
    pub fn acknowledged(&self, epoch: u64) -> Ack {
        let mut ack = Ack::default();
        for row in (0..self.mapped.header.senders_max).map(|i| self.row(i)) {
            let Some(sender) = self.info(row) else { continue };
            let answered = !sender.alive || sender.seen_epoch >= epoch || sender.parked;
            if answered { ack.answered.push(sender) } else { ack.waiting.push(sender) }
        }
        ack
    }

    /// Waits until every sender has answered, or for `wait` at most.
    pub fn wait_acknowledged(&self, epoch: u64, wait: Duration) -> Ack {
        let began = Instant::now();
        loop {
            let ack = self.acknowledged(epoch);
            if ack.is_whole() || began.elapsed() > wait {
                return ack;
            }
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

fn blocks_of(h: &ControlHeader) -> [(&'static str, u32); 6] {
    [
        ("accounts_max", h.accounts_max),
        ("instruments_max", h.instruments_max),
        ("venues_max", h.venues_max),
        ("sessions_max", h.sessions_max),
        ("strategies_max", h.strategies_max),
        ("senders_max", h.senders_max),
    ]
}

/// One sender's row: owned by the thread that sends; freed when dropped.
#[derive(Debug)]
pub struct Sender {
    control: ControlFile,
    row: usize,
}

impl Sender {
    fn word_at(&self, offset: usize) -> &std::sync::atomic::AtomicU64 {
        self.control.mapped.mapping.u64_at(self.row + offset)
    }

    /// The desk word, for before every send.
    #[inline(always)]
    pub fn word(&self) -> u64 {
        self.control.word()
    }

    /// Says that this sender has acted on `epoch`: nothing that it forbids leaves any more.
    #[inline]
    pub fn publish_seen(&self, epoch: u64) {
        // Release; pairs with the Acquire of `acknowledged`: all sends before it are counted.
        self.word_at(offset_of!(ControlSender, seen_epoch)).store(epoch, Ordering::Release);
    }

    /// Says up to which `link_seq` messages have been handed over and what is still in the buffers;
    /// called before `publish_seen` and before `park`, since either may be taken for the answer.
    #[inline]
    pub fn set_sent(&self, sent_seq: u64, unsent_bytes: u64) {
        // Relaxed; published by the Release of `publish_seen`.
        self.word_at(offset_of!(ControlSender, sent_seq)).store(sent_seq, Ordering::Relaxed);
        self.word_at(offset_of!(ControlSender, unsent_bytes))
            .store(unsent_bytes, Ordering::Relaxed);
    }

    fn state(&self, state: u32) -> u64 {
        let at = self.row + offset_of!(ControlSender, state);
        self.control.mapped.mapping.u32_at(at).store(state, Ordering::SeqCst);
        // SeqCst after SeqCst; pairs with `ControlFile::set` and `info`: either the killer sees this
        // state, or this load sees the killer's word.
        self.control.mapped.mapping.u64_at(CONTROL_DESK_WORD).load(Ordering::SeqCst)
    }

    /// Says that the sender is about to sleep and returns the desk word: if it is not the one acted
    /// on, do not sleep; `unpark` and act.
    pub fn park(&self) -> u64 {
        self.state(PARKED)
    }

    /// Says that the sender is awake and returns the desk word, to be acted on before any send.
    pub fn unpark(&self) -> u64 {
        self.state(RUNNING)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.state(FREE);
    }
}
