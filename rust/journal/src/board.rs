//! The board: the best bid and offer of every instrument in shared memory, for clients of a running
//! desk. Market data is in no log; a strategy wants the last state, not each step to it.
//!
//! Written by the engine thread between rounds, read by any process of the same user. What must stay
//! true: a reader gets a quote whole or none; it slows the writer in nothing; a board belongs to one
//! life of an engine and is replaced, never reused.
//!
//! Pairs: writer count odd, fence Release, words, count even Release; reader count Acquire, words,
//! fence Acquire, count. `version` Release after the quotes, Acquire before them.

use crate::desk::{DeskDir, open_nofollow};
use crate::error::{Doing, JournalError, Result};
use crate::map::Mapping;
use crate::ring::reserve;
use layout::{
    BOARD_MAGIC, BoardHeader, FILE_HEADER_SIZE, LAYOUT_HASH, NO_PRICE, Quote, RECORD_SIZE,
};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::mem::offset_of;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use zerocopy::IntoBytes;

const VERSION: usize = offset_of!(BoardHeader, version);
const IS_OPEN: usize = offset_of!(BoardHeader, is_open);
const WORDS: usize = RECORD_SIZE / 8;
/// Times a reader tries again before it takes the writer for dead within a write.
const TRIES: usize = 1 << 16;

fn size_of_board(slots: u64) -> usize {
    FILE_HEADER_SIZE + slots as usize * RECORD_SIZE
}

/// The writer's end; one a desk.
#[derive(Debug)]
pub struct Board {
    view: BoardView,
    version: u64,
}

/// A reader's end.
#[derive(Clone, Debug)]
pub struct BoardView {
    mapping: Arc<Mapping>,
    slots: u64,
}

impl Board {
    /// Makes the board of a desk for instruments below `slots`, in place of a dead engine's; the
    /// caller holds the desk's lock.
    pub fn create(desk: &DeskDir, slots: u64) -> Result<Self> {
        assert!(slots > 0);
        let (path, aside) = (desk.board_path(), desk.make_shm()?.join("board.new"));
        let _ = std::fs::remove_file(&aside);
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file: File = rustix::fs::open(&aside, flags, Mode::from_raw_mode(0o600))
            .doing(&aside, "create the board")?
            .into();
        let size = size_of_board(slots);
        reserve(&file, &aside, size as u64)?;
        let mapping = Mapping::shared(&file, &aside, size, true)?;
        mapping.prefault(&aside)?;
        for id in 0..slots {
            let none = Quote {
                instrument_id: id as u32,
                bid_px: NO_PRICE,
                ask_px: NO_PRICE,
                ..Quote::ZERO
            };
            mapping.write(FILE_HEADER_SIZE + id as usize * RECORD_SIZE, none.as_bytes());
        }
        let header = BoardHeader {
            magic: BOARD_MAGIC,
            layout_hash: LAYOUT_HASH,
            log_id: desk.log_id(),
            slots,
            ..BoardHeader::ZERO
        };
        mapping.write(0, header.as_bytes());
        std::fs::rename(&aside, &path).doing(&path, "put the board in place")?;
        Ok(Self { view: BoardView { mapping: Arc::new(mapping), slots }, version: 0 })
    }

    /// Puts a quote in its place; readers learn of it by [`Board::publish`].
    pub fn put(&mut self, quote: &Quote) {
        let id = u64::from(quote.instrument_id);
        assert!(id < self.view.slots);
        let offset = FILE_HEADER_SIZE + id as usize * RECORD_SIZE;
        let mapping = &self.view.mapping;
        let count = mapping.u64_at(offset);
        let before = count.load(Ordering::Relaxed);
        debug_assert!(before % 2 == 0); // one writer
        count.store(before + 1, Ordering::Relaxed);
        fence(Ordering::Release); // pairs with the Acquire fence of `BoardView::quote`
        let words: [u64; WORDS] = zerocopy::transmute!(*quote);
        for (at, word) in words.into_iter().enumerate().skip(1) {
            mapping.u64_at(offset + 8 * at).store(word, Ordering::Relaxed);
        }
        count.store(before + 2, Ordering::Release); // pairs with the Acquire of `BoardView::quote`
    }

    /// Tells whether the desk takes new orders.
    pub fn set_open(&mut self, is_open: bool) {
        self.view.mapping.u64_at(IS_OPEN).store(is_open.into(), Ordering::Relaxed);
    }

    /// Announces what was put since the last time.
    pub fn publish(&mut self) {
        self.version += 1;
        // Release; pairs with the Acquire of `BoardView::version`.
        self.view.mapping.u64_at(VERSION).store(self.version, Ordering::Release);
    }

    /// A handle for readers in this process.
    pub fn view(&self) -> BoardView {
        self.view.clone()
    }
}

impl BoardView {
    /// Opens the board of a running desk.
    pub fn open(desk: &DeskDir) -> Result<Self> {
        let path = desk.board_path();
        let file = open_nofollow(&path, false).doing(&path, "open the board")?;
        let bad = |what: String| JournalError::BadHeader { path: path.clone(), what };
        let size = file.metadata().doing(&path, "look at it")?.len();
        if size < size_of_board(1) as u64 {
            return Err(bad(format!("{size} bytes are no board")));
        }
        let mapping = Mapping::shared(&file, &path, size as usize, false)?;
        let header: BoardHeader =
            zerocopy::transmute!(mapping.bytes::<{ size_of::<BoardHeader>() }>(0));
        if header.magic != BOARD_MAGIC || header.log_id != desk.log_id() {
            return Err(bad(format!("magic {:#x} is not this desk's board", header.magic)));
        }
        if header.layout_hash != LAYOUT_HASH {
            let (found, ours) = (header.layout_hash, LAYOUT_HASH);
            return Err(JournalError::ForeignLayout { path, found, ours });
        }
        if size != size_of_board(header.slots) as u64 {
            return Err(bad(format!("{} quotes do not fit {size} bytes", header.slots)));
        }
        Ok(Self { mapping: Arc::new(mapping), slots: header.slots })
    }

    /// Counts the changes of the board.
    #[inline]
    pub fn version(&self) -> u64 {
        self.mapping.u64_at(VERSION).load(Ordering::Acquire) // pairs with `Board::publish`
    }

    /// Whether the desk takes new orders.
    pub fn is_open(&self) -> bool {
        self.mapping.u64_at(IS_OPEN).load(Ordering::Relaxed) != 0
    }

    /// Best bid and offer of an instrument; `None` for one that the board has no place for, or when
    /// the writer died within a write.
    pub fn quote(&self, instrument_id: u32) -> Option<Quote> {
        if u64::from(instrument_id) >= self.slots {
            return None;
        }
        let offset = FILE_HEADER_SIZE + instrument_id as usize * RECORD_SIZE;
        for _ in 0..TRIES {
            let before = self.mapping.u64_at(offset).load(Ordering::Acquire); // pairs with `put`
            let words: [u64; WORDS] = std::array::from_fn(|at| {
                self.mapping.u64_at(offset + 8 * at).load(Ordering::Relaxed)
            });
            fence(Ordering::Acquire); // pairs with the Release fence of `put`
            let after = self.mapping.u64_at(offset).load(Ordering::Relaxed);
            if before == after && before % 2 == 0 {
                return Some(zerocopy::transmute!(words));
            }
            std::hint::spin_loop();
        }
        None
    }
}
