//! A desk on a thread of its own: polls until it is told to stop. The caller keeps the handle; all
//! else goes through `Client`, `ask`, the control file and the log. What must stay true: a handle that
//! is dropped stops the thread in order.

use crate::options::{HostError, Result, refused};
use crate::{Desk, DeskOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long an idle engine sleeps at most; stopping takes as long at worst.
const SLEEP: Duration = Duration::from_millis(20);

/// A desk that runs on its own thread.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
    path: PathBuf,
}

impl Desk {
    /// Opens a desk on a new thread and runs it there; `setup` defines what is configured before the
    /// first round. Returns when the desk is open, or why it is not.
    pub fn spawn(
        options: DeskOptions,
        setup: impl FnOnce(&mut Desk) -> Result<()> + Send + 'static,
    ) -> Result<Running> {
        if options.lock_step() {
            return refused("a desk in lock-step runs inline: its strategies act within a turn");
        }
        let path = options.path.clone();
        let stop = Arc::new(AtomicBool::new(false));
        let (told, hears) = sync_channel::<Result<()>>(1);
        let asked = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("pyoms-engine".into())
            .spawn(move || {
                pin(options.cpu);
                let opened = Desk::open(options).and_then(|mut desk| {
                    setup(&mut desk)?;
                    Ok(desk)
                });
                match opened {
                    Ok(desk) => {
                        let _ = told.send(Ok(()));
                        run(desk, &asked)
                    }
                    Err(error) => {
                        let _ = told.send(Err(error));
                        Ok(())
                    }
                }
            })
            .map_err(|source| HostError::Io {
                path: "engine thread".into(),
                doing: "start it",
                source,
            })?;
        match hears.recv() {
            Ok(Ok(())) => Ok(Running { stop, thread: Some(thread), path }),
            Ok(Err(error)) => Err(error),
            Err(_) => refused("the engine thread ended before the desk was open"),
        }
    }
}

/// Pins the thread; a processor that is not ours leaves it where it is.
fn pin(cpu: Option<usize>) {
    let Some(cpu) = cpu.filter(|cpu| *cpu < rustix::thread::CpuSet::MAX_CPU) else { return };
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

fn run(mut desk: Desk, stop: &AtomicBool) -> Result<()> {
    let spin = desk.options.spin;
    while !stop.load(Ordering::Acquire) {
        let some = desk.poll()?;
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

    /// Stops in order and tells how it ended.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        self.stop.store(true, Ordering::Release); // Release; pairs with the Acquire of `run`
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
