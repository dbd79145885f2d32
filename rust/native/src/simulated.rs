//! The simulated venue and the recorded or made days it plays, for Python.
//!
//! Called by `pyoms venue sim`, the demo, backtests and tests. Tapes stay in Rust; numpy sees them
//! through the buffer protocol without a copy. What must stay true: no rule of matching or sampling
//! is here.

use crate::error::{OrRaise, oms_error};
use layout::BookUpdate;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi as py_ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use sim::tape::{self, TapeError};
use std::os::raw::{c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use zerocopy::IntoBytes;

/// Records of market data in memory: a buffer of bytes, 128 a record, dtype `book_update`.
#[pyclass(frozen, module = "pyoms_native")]
pub struct Tape {
    updates: Arc<Vec<BookUpdate>>,
    /// The dataset that the recording names; empty for a made one.
    #[pyo3(get)]
    dataset: String,
    /// Market-by-order records of instruments that were not asked for.
    #[pyo3(get)]
    other_instruments: u64,
    /// Records of other kinds.
    #[pyo3(get)]
    other_records: u64,
}

impl Tape {
    fn of(updates: Vec<BookUpdate>) -> Self {
        let (dataset, other_instruments, other_records) = (String::new(), 0, 0);
        Self { updates: Arc::new(updates), dataset, other_instruments, other_records }
    }
}

#[pymethods]
impl Tape {
    fn __len__(&self) -> usize {
        self.updates.len()
    }

    /// Counts and times of the day.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = py.detach(|| tape::stats(&self.updates));
        let dict = PyDict::new(py);
        for (name, value) in [
            ("records", stats.records),
            ("snapshot", stats.snapshot),
            ("adds", stats.adds),
            ("modifies", stats.modifies),
            ("cancels", stats.cancels),
            ("clears", stats.clears),
            ("trades", stats.trades),
            ("fills", stats.fills),
            ("contracts", stats.contracts),
            ("bookkeeping", stats.bookkeeping),
        ] {
            dict.set_item(name, value)?;
        }
        dict.set_item("first_ns", stats.first_ns)?;
        dict.set_item("last_ns", stats.last_ns)?;
        Ok(dict)
    }

    /// Rates, sizes and spread as rows of (what, number).
    fn profile(&self, py: Python<'_>) -> Vec<(&'static str, f64)> {
        py.detach(|| tape::profile(&self.updates)).rows().to_vec()
    }

    /// Splits the day: (market, flow as bytes of dtype `FLOW`, statistics). At least `commands_min`
    /// commands are sampled where the day has them.
    fn plan<'py>(
        &self,
        py: Python<'py>,
        seed: u64,
        commands_min: u64,
    ) -> PyResult<(Tape, Bound<'py, PyBytes>, Bound<'py, PyDict>)> {
        let plan = py.detach(|| tape::plan(&self.updates, seed, commands_min));
        let mut flow = Vec::with_capacity(plan.flow.len() * 40);
        for command in &plan.flow {
            let kind = match command.kind {
                tape::FlowKind::New => 1u8,
                tape::FlowKind::Replace => 2,
                tape::FlowKind::Cancel => 3,
            };
            flow.extend_from_slice(&command.at_ns.to_le_bytes());
            flow.extend_from_slice(&command.order_ref.to_le_bytes());
            flow.extend_from_slice(&command.price.to_le_bytes());
            flow.extend_from_slice(&command.qty.to_le_bytes());
            flow.extend_from_slice(&[kind, command.side.code(), 0, 0, 0, 0, 0, 0]);
        }
        let (s, stats) = (&plan.stats, PyDict::new(py));
        for (name, value) in [
            ("commands", s.commands()),
            ("day_orders", s.day_orders),
            ("commands_reachable", s.commands_reachable),
            ("sampled_orders", s.sampled_orders),
            ("new_orders", s.new_orders),
            ("replaces", s.replaces),
            ("crossing", s.crossing),
            ("cancels", s.cancels),
            ("bookkeeping", s.bookkeeping),
            ("fills", s.fills),
            ("contracts", s.contracts),
            ("market_records", s.market_records),
        ] {
            stats.set_item(name, value)?;
        }
        stats.set_item("sampled_share", s.sampled_share)?;
        Ok((Self::of(plan.market), PyBytes::new(py, &flow), stats))
    }

    /// The bytes of its records, read only, without a copy.
    ///
    /// # Safety
    /// Called by the interpreter with a view to fill in.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut py_ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view to fill in"));
        }
        let bytes = slf.get().updates.as_slice().as_bytes();
        let (pointer, size) = (bytes.as_ptr() as *mut c_void, bytes.len() as isize);
        // SAFETY: the records are never written or moved while the object lives (the class is frozen),
        // and the view holds a reference to it; `readonly` is 1, so a writable view is refused.
        let filled =
            unsafe { py_ffi::PyBuffer_FillInfo(view, slf.as_ptr(), pointer, size, 1, flags) };
        match filled {
            0 => Ok(()),
            _ => Err(PyErr::fetch(slf.py())),
        }
    }
}

fn raise(py: Python<'_>, error: &TapeError) -> PyErr {
    oms_error(py, "TapeError", error)
}

/// Reads a recording (DBN, market by order): the symbols wanted and our numbers for them.
#[pyfunction]
pub fn load_tape(py: Python<'_>, path: PathBuf, symbols: Vec<(String, u32)>) -> PyResult<Tape> {
    let read = py.detach(|| {
        let symbols: Vec<(&str, u32)> = symbols.iter().map(|(s, id)| (s.as_str(), *id)).collect();
        tape::read(&path, &symbols)
    });
    let read = read.map_err(|error| raise(py, &error))?;
    Ok(Tape {
        updates: Arc::new(read.updates),
        dataset: read.dataset,
        other_instruments: read.other_instruments,
        other_records: read.other_records,
    })
}

/// A made day of one hour of pre-open and `hours` of trading; one seed gives one day.
#[pyfunction]
pub fn synthetic(py: Python<'_>, seed: u64, hours: u32, instrument_id: u32) -> Tape {
    Tape::of(py.detach(|| tape::synthetic(seed, hours, instrument_id)))
}

/// Two or more days beside each other, as a table of text.
#[pyfunction]
pub fn side_by_side(py: Python<'_>, columns: Vec<(String, Py<Tape>)>) -> String {
    let tapes: Vec<_> = columns
        .iter()
        .map(|(name, tape)| (name.as_str(), Arc::clone(&tape.get().updates)))
        .collect();
    py.detach(|| {
        let profiles: Vec<_> = tapes.iter().map(|(_, updates)| tape::profile(updates)).collect();
        let columns: Vec<_> = tapes.iter().map(|(name, _)| *name).zip(&profiles).collect();
        tape::side_by_side(&columns)
    })
}

/// The top of the book at every record flagged last: rows of 48 bytes, for comparison with another
/// book.
#[pyfunction]
#[pyo3(signature = (path, symbol="ESH4"))]
pub fn book_tops<'py>(
    py: Python<'py>,
    path: PathBuf,
    symbol: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let rows = py.detach(|| tape::book_tops(Path::new(&path), symbol));
    Ok(PyBytes::new(py, &rows.map_err(|error| raise(py, &error))?))
}

/// The simulated venue as one object: bytes and time in, bytes out; the socket loop has no logic.
#[pyclass(frozen, module = "pyoms_native")]
pub struct SimVenue {
    server: Mutex<sim::VenueServer>,
}

impl SimVenue {
    /// Runs `work` under the lock and without the GIL.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(MutexGuard<'_, sim::VenueServer>) -> T + Send,
    ) -> PyResult<T> {
        py.detach(|| self.server.lock().map(work).ok())
            .ok_or_else(|| oms_error(py, "VenueError", "the venue is broken: a call panicked"))
    }
}

#[pymethods]
impl SimVenue {
    #[new]
    fn new(py: Python<'_>, config_json: &str, tape: &Tape) -> PyResult<Self> {
        let made = py.detach(|| sim::VenueServer::from_json(config_json, tape.updates.to_vec()));
        Ok(Self { server: Mutex::new(made.or_raise(py, "VenueError")?) })
    }

    /// A peer connected.
    fn on_connect(&self, py: Python<'_>, conn: u64, now_ns: i64) -> PyResult<()> {
        self.with(py, |mut server| server.on_connect(conn, now_ns))
    }

    /// Bytes of a peer, cut anywhere.
    fn on_bytes(&self, py: Python<'_>, conn: u64, data: &[u8], now_ns: i64) -> PyResult<()> {
        self.with(py, |mut server| server.on_bytes(conn, data, now_ns))
    }

    /// A peer is gone; everything up to its end was read before.
    fn on_disconnect(&self, py: Python<'_>, conn: u64, now_ns: i64) -> PyResult<()> {
        self.with(py, |mut server| server.on_disconnect(conn, now_ns))
    }

    /// Does what is due by now.
    fn advance(&self, py: Python<'_>, now_ns: i64) -> PyResult<()> {
        self.with(py, |mut server| server.advance(now_ns))
    }

    /// Bytes that wait for a peer, at most `most` of them.
    #[pyo3(signature = (conn, most=1 << 20))]
    fn unsent<'py>(
        &self,
        py: Python<'py>,
        conn: u64,
        most: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.with(py, |server| {
            let unsent = server.unsent(conn);
            unsent[..unsent.len().min(most)].to_vec()
        })?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// So many of them were written.
    fn sent(&self, py: Python<'_>, conn: u64, size: usize) -> PyResult<()> {
        self.with(py, |mut server| {
            let size = size.min(server.unsent(conn).len());
            server.sent(conn, size);
        })
    }

    /// Whether to flush and close a peer.
    fn wants_close(&self, py: Python<'_>, conn: u64) -> PyResult<bool> {
        self.with(py, |server| server.wants_close(conn))
    }

    /// Real time at which `advance` is wanted at the latest.
    fn next_call_ns(&self, py: Python<'_>, now_ns: i64) -> PyResult<i64> {
        self.with(py, |server| server.next_call_ns(now_ns))
    }

    /// Whether the day is over and everything is delivered.
    fn is_over(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, |server| server.is_over())
    }

    /// What the venue saw, as JSON: orders, positions, sends in order, counters.
    fn witness_json(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, |server| server.witness_json())
    }

    /// Hash of all bytes put on the wire.
    fn output_hash(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |server| server.output_hash())
    }

    /// How fills are modelled, in words.
    fn fill_model(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, |server| server.fill_model().to_owned())
    }

    /// Virtual time of the day.
    fn virtual_now_ns(&self, py: Python<'_>) -> PyResult<i64> {
        self.with(py, |server| server.virtual_now_ns())
    }

    /// New orders and replaces received with a higher link sequence.
    fn creating_after(&self, py: Python<'_>, link_seq: u32) -> PyResult<u64> {
        self.with(py, |server| server.creating_after(link_seq))
    }

    /// The oldest line to log, or None.
    fn take_note(&self, py: Python<'_>) -> PyResult<Option<String>> {
        self.with(py, |mut server| server.take_note())
    }

    /// One round in process: (bytes to send, whether to keep the connection).
    fn serve_step<'py>(
        &self,
        py: Python<'py>,
        conn: u64,
        data: &[u8],
        now_ns: i64,
    ) -> PyResult<(Bound<'py, PyBytes>, bool)> {
        let mut out = Vec::new();
        let keep = self.with(py, |mut server| server.serve_step(conn, data, now_ns, &mut out))?;
        Ok((PyBytes::new(py, &out), keep))
    }
}
