"""The log as numpy arrays without a copy: a ring that is still written, and segments on disk.

Called by `pyoms.tape`, dispatchers and projections, one reader a thread. What must stay true: no
record is copied here, every array is read-only and keeps its mapping alive, and a view of the ring
counts only if :meth:`Batch.check` passes after use. Segments never change: their views hold for ever.
"""
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int64_t, uint64_t

import numpy as np

from pyoms_core import layout
from pyoms_core.errors import GateError, LappedError

from pyoms_core.layout cimport record_t
from pyoms_core.native cimport native_api, native_api_t

cdef const native_api_t* api = native_api()


cdef class Window:
    """Bytes of a mapping that `owner` keeps alive, read-only, for numpy."""

    cdef object owner
    cdef const record_t* first
    cdef size_t count

    def __getbuffer__(self, Py_buffer* view, int flags):
        """Fill in a view of the bytes."""
        PyBuffer_FillInfo(
            view, self, <void*> self.first, <Py_ssize_t> (self.count * sizeof(record_t)), 1, flags
        )


cdef object records_of(object owner, const record_t* first, size_t count):
    cdef Window window = Window.__new__(Window)
    window.owner = owner
    window.first = first
    window.count = count
    return np.frombuffer(window, dtype=DTYPES["record"])


DTYPES = {name: layout.dtype(name) for name in ("record", *layout.KINDS)}
"""Numpy dtype of every kind of record, by name."""


class Batch:
    """Records that lie side by side, in order.

    Attributes
    ----------
    records : array of dtype ``record``
        All of them, zero copy and read-only.
    first_seq : int
        Sequence of the first.
    """

    __slots__ = ("_tape", "first_seq", "records")

    def __init__(self, records, first_seq, tape=None):
        self.records, self.first_seq, self._tape = records, first_seq, tape

    def __len__(self):
        """Return the number of records."""
        return len(self.records)

    @property
    def kinds(self):
        """Kind of each record, a view."""
        return self.records["kind"]

    def as_kind(self, kind):
        """View all records as one kind, by name; the caller knows which rows are of it."""
        return self.records.view(DTYPES[kind])

    def of(self, kind):
        """Copy the rows of one kind, by name."""
        return self.as_kind(kind)[self.kinds == layout.KINDS[kind]]

    def runs(self):
        """Yield (kind name, view) for each run of records of one kind, in order, zero copy."""
        kinds = self.kinds
        edges = np.flatnonzero(kinds[1:] != kinds[:-1]) + 1
        start = 0
        for end in (*edges.tolist(), len(kinds)):
            name = layout.KIND_NAMES[int(kinds[start])]
            yield name, self.records[start:end].view(DTYPES[name])
            start = end

    def check(self):
        """Raise :class:`LappedError` unless the records are still those that were asked for.

        Call it after use: what was read before a check that passes was read whole. Views of a log
        on disk always pass.
        """
        if self._tape is not None:
            self._tape.check(self.first_seq)


cdef class Reader:
    """A cursor over a ring: batches of what is committed, as views of the ring itself.

    Parameters
    ----------
    capsule : PyCapsule
        From ``Port.tape`` or ``pyoms_native.ring_tape``.
    """

    cdef object capsule
    cdef const void* tape
    cdef uint64_t slots
    cdef const record_t* first
    cdef object ring

    def __cinit__(self, capsule not None):
        cdef uint64_t next_seq = 0
        self.capsule = capsule
        self.tape = PyCapsule_GetPointer(capsule, "pyoms_native.Tape")
        if api.tape_memory(self.tape, &self.first, &self.slots, &next_seq) != 0:
            raise GateError("the reader is in use by another thread")
        self.ring = records_of(capsule, self.first, self.slots)

    @property
    def next_seq(self):
        """Sequence of the next record."""
        cdef uint64_t next_seq = 0, slots = 0
        cdef const record_t* first = NULL
        if api.tape_memory(self.tape, &first, &slots, &next_seq) != 0:
            raise GateError("the reader is in use by another thread")
        return next_seq

    @property
    def oldest_seq(self):
        """The oldest record that is still there."""
        return api.tape_oldest(self.tape)

    @property
    def mapping(self):
        """The whole ring as one array, for those who compute slots themselves."""
        return self.ring

    def seek(self, uint64_t seq):
        """Go on at `seq`."""
        if api.tape_seek(self.tape, seq) != 0:
            raise GateError("the reader is in use by another thread")

    def check(self, uint64_t first_seq):
        """Raise :class:`LappedError` if the writer has come past `first_seq`."""
        cdef uint64_t oldest_seq = api.tape_oldest(self.tape)
        if first_seq < oldest_seq:
            raise LappedError(first_seq, oldest_seq)

    def poll(self, size_t most=4096):
        """Return the next :class:`Batch`, at most `most` records, or None when there is none.

        A batch ends where the ring wraps, so it may be shorter than what waits. Raises
        :class:`LappedError` when the reader itself was lapped; `seek` to go on.
        """
        cdef uint64_t first_seq = 0
        cdef const record_t* first = NULL
        cdef int64_t count
        cdef uint64_t slot
        with nogil:
            count = api.tape_poll(self.tape, most, &first_seq, &first)
        if count == 0:
            return None
        if count == -1:
            raise LappedError(self.next_seq, first_seq)
        if count < 0:
            raise GateError("the reader is in use by another thread")
        slot = first_seq & (self.slots - 1)
        return Batch(self.ring[slot:slot + <uint64_t> count], first_seq, self)


def log_batches(capsule not None, uint64_t from_seq=1):
    """Yield the runs of a log on disk from `from_seq` on as :class:`Batch`, one a segment.

    Parameters
    ----------
    capsule : PyCapsule
        From ``pyoms_native.Log.capsule``.
    from_seq : int
        First record wanted.
    """
    cdef const void* log = PyCapsule_GetPointer(capsule, "pyoms_native.Log")
    cdef size_t index = 0
    cdef uint64_t first_seq = 0, count = 0, skip
    cdef const record_t* first = NULL
    while True:
        count = api.log_run(log, index, &first_seq, &first)
        if count == 0:
            return
        index += 1
        if first_seq + count <= from_seq:
            continue
        skip = from_seq - first_seq if from_seq > first_seq else 0
        records = records_of(capsule, first, count)
        yield Batch(records[skip:], first_seq + skip)
