//! The journal's place in the desk: a thread of its own, or work done by whoever owns the desk. Tells
//! the desk of a failure and of segments that run short, and wakes sleeping clients when there is
//! news, so that the engine never does. What must stay true: a failed disk is never
//! tried again (F8); a dropped desk stops the thread without a flush, as a killed process would.

use crate::{JournalMode, Result};
use journal::{BoardView, RingView, SegmentWriter, Waker};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const RUN: u8 = 0;
const STOP: u8 = 1;
const FLUSH: u8 = 2;
/// Rounds without work before the thread sleeps, and how long.
const IDLE_ROUNDS: u32 = 64;
const NAP: Duration = Duration::from_micros(100);

struct Shared {
    order: AtomicU8,
    failed: AtomicBool,
    why: Mutex<Option<String>>,
}

impl Shared {
    fn fail(&self, error: &journal::JournalError) {
        *self.why.lock().expect("no holder panics") = Some(error.to_string());
        self.failed.store(true, Ordering::Release); // Release; pairs with `Journaling::fault`
    }
}

/// The clients that sleep until something is committed or the board changes.
pub(crate) struct News {
    ring: RingView,
    board: Option<BoardView>,
    wakers: Mutex<Vec<(u32, Waker)>>,
    told: Mutex<(u64, u64)>,
}

impl News {
    pub(crate) fn new(ring: RingView, board: Option<BoardView>) -> Arc<Self> {
        let (wakers, told) = (Mutex::default(), Mutex::default());
        Arc::new(Self { ring, board, wakers, told })
    }

    pub(crate) fn add(&self, client_id: u32, waker: Waker) {
        self.wakers.lock().expect("no holder panics").push((client_id, waker));
    }

    pub(crate) fn remove(&self, client_id: u32) {
        self.wakers.lock().expect("no holder panics").retain(|(id, _)| *id != client_id);
    }

    /// Wakes who sleeps, if there is something new since the last time.
    fn tell(&self) {
        let version = self.board.as_ref().map_or(0, BoardView::version);
        let now = (self.ring.committed_seq(), version);
        let mut told = self.told.lock().expect("no holder panics");
        if *told == now {
            return;
        }
        *told = now;
        fence(Ordering::SeqCst); // pairs with the fence of `Producer::sleep`
        for (_, waker) in self.wakers.lock().expect("no holder panics").iter() {
            waker.wake();
        }
    }
}

enum Work {
    None,
    Inline(Box<SegmentWriter>),
    Thread(Option<JoinHandle<()>>),
}

/// The segment writer at work.
pub(crate) struct Journaling {
    work: Work,
    news: Option<Arc<News>>,
    shared: Arc<Shared>,
    segment_room: Arc<AtomicU64>,
}

fn shortage(writer: &SegmentWriter) -> u64 {
    if writer.next_refused().is_some() { writer.ready_room() } else { u64::MAX }
}

impl Journaling {
    pub(crate) fn none() -> Self {
        Self::with(Work::None)
    }

    fn with(work: Work) -> Self {
        let shared = Shared {
            order: AtomicU8::new(RUN),
            failed: AtomicBool::new(false),
            why: Mutex::new(None),
        };
        let segment_room = Arc::new(AtomicU64::new(u64::MAX));
        Self { work, news: None, shared: Arc::new(shared), segment_room }
    }

    pub(crate) fn inline(writer: SegmentWriter) -> Self {
        Self::with(Work::Inline(Box::new(writer)))
    }

    /// Hands the writer to a thread, if so configured: after the first events are on disk.
    pub(crate) fn start(&mut self, mode: JournalMode, news: Arc<News>) -> Result<()> {
        self.news = Some(Arc::clone(&news));
        if mode == JournalMode::Inline || !matches!(self.work, Work::Inline(_)) {
            return Ok(());
        }
        let Work::Inline(writer) = std::mem::replace(&mut self.work, Work::None) else {
            unreachable!("it was just looked at")
        };
        let (shared, room) = (Arc::clone(&self.shared), Arc::clone(&self.segment_room));
        let thread = std::thread::Builder::new()
            .name("pyoms-journal".into())
            .spawn(move || run(*writer, &shared, &room, &news))
            .map_err(|source| crate::HostError::Io {
                path: "journal thread".into(),
                doing: "start it",
                source,
            })?;
        self.work = Work::Thread(Some(thread));
        Ok(())
    }

    pub(crate) fn segment_room(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.segment_room)
    }

    /// A round of work when it is inline; nothing otherwise.
    pub(crate) fn pump(&mut self) {
        let Work::Inline(writer) = &mut self.work else { return };
        if let Some(news) = &self.news {
            news.tell();
        }
        if self.shared.failed.load(Ordering::Acquire) || writer.is_idle() {
            return;
        }
        if let Err(error) = writer.pump() {
            self.shared.fail(&error);
        }
        self.segment_room.store(shortage(writer), Ordering::Relaxed);
    }

    /// Inline: pumps until all that was published is on disk.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if let Work::Inline(writer) = &mut self.work {
            if let Err(error) = writer.flush() {
                self.shared.fail(&error);
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Inline at a tier where messages wait for the disk: writes now what they wait for.
    pub(crate) fn flush_for(&mut self, tier: layout::Tier) -> Result<()> {
        if tier == layout::Tier::Disk && !self.failed() { self.flush() } else { Ok(()) }
    }

    /// Whether the disk has failed.
    #[inline]
    pub(crate) fn failed(&self) -> bool {
        self.shared.failed.load(Ordering::Acquire) // Acquire; pairs with `Shared::fail`
    }

    pub(crate) fn fault(&self) -> Option<String> {
        self.shared.why.lock().expect("no holder panics").clone()
    }

    /// Flushes and stops.
    pub(crate) fn close(&mut self) -> Result<()> {
        match &mut self.work {
            Work::Thread(thread) => {
                self.shared.order.store(FLUSH, Ordering::Release);
                if let Some(thread) = thread.take() {
                    let _ = thread.join();
                }
            }
            _ => self.flush()?,
        }
        match self.fault() {
            Some(why) => crate::options::refused(why),
            None => Ok(()),
        }
    }
}

impl Drop for Journaling {
    fn drop(&mut self) {
        if let Work::Thread(Some(_)) = &self.work {
            let _ =
                self.shared.order.compare_exchange(RUN, STOP, Ordering::AcqRel, Ordering::Acquire);
            if let Work::Thread(Some(thread)) = std::mem::replace(&mut self.work, Work::None) {
                let _ = thread.join();
            }
        }
    }
}

fn run(mut writer: SegmentWriter, shared: &Shared, room: &AtomicU64, news: &News) {
    let mut idle = 0;
    loop {
        match shared.order.load(Ordering::Acquire) {
            STOP => return,
            FLUSH => {
                if let Err(error) = writer.flush() {
                    shared.fail(&error);
                }
                return;
            }
            _ => {}
        }
        news.tell();
        let is_idle = writer.is_idle();
        if !is_idle {
            idle = 0;
            if let Err(error) = writer.pump() {
                shared.fail(&error);
                return;
            }
            room.store(shortage(&writer), Ordering::Relaxed);
        } else if idle < IDLE_ROUNDS {
            idle += 1;
            std::thread::yield_now();
        } else {
            std::thread::park_timeout(NAP); // a nap, so that a quiet desk costs no core
        }
    }
}
