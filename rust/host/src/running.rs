//! A desk on a thread of its own: polls until it is told to stop. The caller keeps the handle; all
//! else goes through `Client`, `ask`, the control file and the log. What must stay true: a handle that
//! is dropped stops the thread in order.

use crate::options::{HostError, Result, refused};
use crate::{Desk, DeskOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long an idle engine sleeps at most; stopping takes as long at worst.
const SLEEP: Duration = Duration::from_millis(20);

/// What the engine thread and the handle tell one another.
#[derive(Debug, Default)]
struct Told {
    stop: AtomicBool,
    is_open: AtomicBool,
    clients_lost: AtomicU64,
}

/// A desk that runs on its own thread.
#[derive(Debug)]
pub struct Running {
    told: Arc<Told>,
    thread: Option<JoinHandle<Result<()>>>,
    path: PathBuf,
}

impl Desk {
    /// Opens a desk, lets `setup` define what is configured, and runs it on a thread of its own.
    pub fn spawn(
        options: DeskOptions,
        setup: impl FnOnce(&mut Desk) -> Result<()>,
    ) -> Result<Running> {
        let mut desk = Self::open(options)?;
        setup(&mut desk)?;
        desk.start()
    }

    /// Runs the desk on a thread of its own from here on.
    pub fn start(self) -> Result<Running> {
        if self.options.lock_step() {
            return refused("a desk in lock-step runs inline: its strategies act within a turn");
        }
        let path = self.options.path.clone();
        let told = Arc::new(Told::default());
        let asked = Arc::clone(&told);
        let thread = std::thread::Builder::new()
            .name("pyoms-engine".into())
            .spawn(move || {
                pin(self.options.cpu);
                run(self, &asked)
            })
            .map_err(|source| HostError::Io {
                path: "engine thread".into(),
                doing: "start it",
                source,
            })?;
        Ok(Running { told, thread: Some(thread), path })
    }
}

/// Pins the thread; a processor that is not ours leaves it where it is.
fn pin(cpu: Option<usize>) {
    let Some(cpu) = cpu.filter(|cpu| *cpu < rustix::thread::CpuSet::MAX_CPU) else { return };
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

fn run(mut desk: Desk, told: &Told) -> Result<()> {
    let spin = desk.options.spin;
    while !told.stop.load(Ordering::Acquire) {
        let some = desk.poll()?;
        told.is_open.store(desk.is_open(), Ordering::Relaxed);
        told.clients_lost.store(desk.clients_lost(), Ordering::Relaxed);
        match (some, spin) {
            (false, false) => desk.wait(SLEEP),
            (false, true) => std::hint::spin_loop(),
            _ => {}
        }
    }
    desk.close()
}

impl Running {
    /// The desk's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the engine thread still runs.
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Whether the desk takes new orders, a moment ago.
    pub fn is_open(&self) -> bool {
        self.told.is_open.load(Ordering::Relaxed)
    }

    /// Clients lost since the start, a moment ago; the status names them.
    pub fn clients_lost(&self) -> u64 {
        self.told.clients_lost.load(Ordering::Relaxed)
    }

    /// Stops in order and tells how it ended.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        self.told.stop.store(true, Ordering::Release); // Release; pairs with the Acquire of `run`
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => ended,
            Some(Err(_)) => refused("the engine thread panicked: an invariant did not hold"),
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
