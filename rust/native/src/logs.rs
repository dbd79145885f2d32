//! Logs on disk, read only: opened, folded, verified. Works on a stopped and on a running desk.
//!
//! Called by commands, replays and tests, on any thread; the work runs without the GIL. What must
//! stay true: nothing here writes, and a run of an opened log stays where it lies as long as anyone
//! holds the capsule.

use crate::core::Core;
use crate::error::{OrRaise, oms_error};
use crate::port::Port;
use crate::{capacity, ffi, views};
use engine::Engine;
use journal::{DeskDir, Follow, Reader, RingFound};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

/// The log of a desk directory, every record of it checked.
#[pyclass(frozen, module = "pyoms_native")]
pub struct Log {
    log: ffi::Runs,
}

fn open(py: Python<'_>, desk: PathBuf) -> PyResult<ffi::Runs> {
    let opened = py.detach(|| DeskDir::open(desk).and_then(|desk| journal::open_log(&desk)));
    Ok(Arc::new(opened.or_raise(py, "JournalError")?))
}

#[pymethods]
impl Log {
    #[new]
    fn new(py: Python<'_>, desk: PathBuf) -> PyResult<Self> {
        Ok(Self { log: open(py, desk)? })
    }

    /// What the C table's `log_run` takes; it keeps the log mapped by itself.
    fn capsule<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        PyCapsule::new_with_value(py, Arc::clone(&self.log), c"pyoms_native.Log")
    }

    /// First sequence.
    #[getter]
    fn first_seq(&self) -> u64 {
        self.log.first_seq()
    }

    /// Sequence after the last.
    #[getter]
    fn next_seq(&self) -> u64 {
        self.log.next_seq()
    }

    /// Id of the log.
    #[getter]
    fn log_id(&self) -> u64 {
        self.log.log_id()
    }

    /// Highest epoch that was started.
    #[getter]
    fn epoch(&self) -> u64 {
        self.log.epoch()
    }

    /// The torn tail that was found: (first sequence, records), or None.
    #[getter]
    fn tail_cut(&self) -> Option<(u64, u64)> {
        self.log.tail_cut().map(|cut| (cut.first_seq, cut.records))
    }

    /// First sequence whose time is not below `time_ns`.
    fn seek_time(&self, time_ns: i64) -> u64 {
        self.log.seek_time(time_ns)
    }

    /// A copy of one record; None past the end.
    fn record<'py>(&self, py: Python<'py>, seq: u64) -> Option<Bound<'py, PyBytes>> {
        self.log.get(seq).map(|record| views::bytes(py, record))
    }
}

/// The fold of a log up to a sequence or a time.
#[pyclass(extends = Port, frozen, module = "pyoms_native")]
pub struct Replay {
    log: ffi::Runs,
    /// Events folded.
    #[pyo3(get)]
    events: u64,
    /// Sequence of the last event folded.
    #[pyo3(get)]
    last_seq: u64,
}

#[pymethods]
impl Replay {
    #[new]
    #[pyo3(signature = (desk, capacities=None, *, at_seq=None, at_time_ns=None))]
    fn new(
        py: Python<'_>,
        desk: PathBuf,
        capacities: Option<&Bound<'_, PyDict>>,
        at_seq: Option<u64>,
        at_time_ns: Option<i64>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let config = capacity::read(capacities)?;
        let log = open(py, desk)?;
        if let Some(seq) = at_seq.filter(|&seq| seq >= log.next_seq()) {
            let last = log.next_seq() - 1;
            let text = format!("event {seq} is not in the log, its last is {last}");
            return Err(oms_error(py, "ReplayError", text));
        }
        let last_seq = match (at_seq, at_time_ns) {
            (Some(seq), _) => seq,
            // All events of that very nanosecond are in.
            (None, Some(time_ns)) => log.seek_time(time_ns.saturating_add(1)) - 1,
            (None, None) => log.next_seq() - 1,
        };
        let folded = py.detach(|| {
            let mut engine = Engine::new(&config)?;
            log.for_each_from(1, |record| {
                if record.header.event_seq > last_seq {
                    return ControlFlow::Break(());
                }
                engine.apply(record);
                ControlFlow::Continue(())
            });
            std::io::Result::Ok(engine)
        });
        let engine = folded.or_raise(py, "ReplayError")?;
        let events = last_seq; // dense from 1
        let port = PyClassInitializer::from(Port::of(Core::Folded(Box::new(engine))));
        Ok(port.add_subclass(Self { log, events, last_seq }))
    }

    /// The records that speak of an order, oldest first, up to where the replay stands: 128 bytes each.
    fn why<'py>(&self, py: Python<'py>, order_seq: u64) -> Vec<Bound<'py, PyBytes>> {
        let mut found = Vec::new();
        self.log.for_each_from(1, |record| {
            if record.header.event_seq > self.last_seq {
                return ControlFlow::Break(());
            }
            if record.header.order_seq == order_seq {
                found.push(*record);
            }
            ControlFlow::Continue(())
        });
        found.iter().map(|record| views::bytes(py, record)).collect()
    }
}

/// Checks every record of a desk's log; changes nothing. `damage` is None when all of it holds.
#[pyfunction]
pub fn verify_log<'py>(py: Python<'py>, desk: PathBuf) -> PyResult<Bound<'py, PyDict>> {
    let desk = DeskDir::open(desk).or_raise(py, "JournalError")?;
    let report = py.detach(|| journal::verify(&desk));
    let dict = PyDict::new(py);
    dict.set_item("segments", report.segments)?;
    dict.set_item("records", report.records)?;
    dict.set_item("last_seq", report.last_seq)?;
    dict.set_item("epoch", report.epoch)?;
    dict.set_item("tail_cut", report.tail_cut.map(|cut| (cut.first_seq, cut.records)))?;
    let from_ring = match report.ring {
        RingFound::Used { records } => Some(records),
        RingFound::None => None,
    };
    dict.set_item("records_in_ring_alone", from_ring)?;
    dict.set_item("damage", report.damage.map(|damage| damage.to_string()))?;
    Ok(dict)
}

/// A reader of a running desk's ring, for the C table's `tape_*` functions; from the oldest record
/// there is, or from `from_seq`.
#[pyfunction]
#[pyo3(signature = (desk, from_seq=None))]
pub fn ring_tape<'py>(
    py: Python<'py>,
    desk: PathBuf,
    from_seq: Option<u64>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let opened = DeskDir::open(desk).and_then(|d| Reader::open(d.ring_path(), Follow::Committed));
    let mut reader = opened.or_raise(py, "JournalError")?;
    if let Some(seq) = from_seq {
        reader.seek(seq);
    }
    PyCapsule::new_with_value(py, ffi::tape(reader), c"pyoms_native.Tape")
}
