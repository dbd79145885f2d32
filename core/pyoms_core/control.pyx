"""The kill switch from compiled code: read the words of a control file, or trip one.

Called by a desk's own Cython strategies and by watchdogs, on any thread; the engine and its senders
look at the same words before every send. What must stay true: a read costs one load and no system
call; a trip goes through the core's own rule, which never loosens a mode.
"""
import mmap
import os

from libc.stdint cimport uint8_t, uint32_t, uint64_t

import pyoms_native
from pyoms_core import layout
from pyoms_core.layout cimport LAYOUT_HASH, control_header_t


from pyoms_core.native cimport native_api, native_api_t


cdef extern from *:
    """
    #define pyoms_load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    """
    uint64_t pyoms_load(const uint64_t*) noexcept nogil

cdef const native_api_t* api = native_api()
cdef uint64_t EPOCH_MASK = (<uint64_t> 1 << layout.CONTROL_EPOCH_BITS) - 1
cdef int EPOCH_BITS = layout.CONTROL_EPOCH_BITS


cdef class Control:
    """The words of one desk's control file.

    Parameters
    ----------
    desk : path
        The desk directory; OSError when its file ``control`` cannot be opened, ValueError when that
        is no control file of this layout.
    """

    def __cinit__(self, desk):
        cdef const control_header_t* header
        self.desk = os.fspath(desk)
        path = os.path.join(self.desk, "control")
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            self.mapping = mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(handle)
        self.view = self.mapping
        if self.view.shape[0] < layout.CONTROL_WORDS:
            raise ValueError(f"{path}: {self.view.shape[0]} bytes are too few for a control file")
        header = <const control_header_t*> &self.view[0]
        if header.magic != <uint64_t> layout.CONTROL_MAGIC or header.layout_hash != LAYOUT_HASH:
            raise ValueError(
                f"{path}: magic {header.magic:#x}, layout {header.layout_hash:#018x}: no control file "
                f"of layout {LAYOUT_HASH:#018x}"
            )
        sizes = [
            header.accounts_max, header.instruments_max, header.venues_max, header.sessions_max,
            header.strategies_max,
        ]
        at = layout.CONTROL_WORDS
        names = ("account", "instrument", "venue", "session", "strategy")
        self.blocks = {"desk": (layout.CONTROL_DESK_WORD, 0)}
        for name, size in zip(names, sizes):
            self.blocks[name] = (at, size)
            at += 8 * size
        if self.view.shape[0] < at:
            raise ValueError(f"{path}: {self.view.shape[0]} bytes do not hold the {at} it names")
        self.desk_word = <const uint64_t*> &self.view[<Py_ssize_t> layout.CONTROL_DESK_WORD]

    cdef uint8_t desk_mode(self) noexcept nogil:
        return <uint8_t> (pyoms_load(self.desk_word) >> EPOCH_BITS)

    cdef const uint64_t* word(self, scope, uint32_t target_id) except NULL:
        start, size = self.blocks[scope]
        if (scope == "desk") != (target_id == 0) or target_id > size:
            raise ValueError(f"{scope} {target_id} has no word, there are {size}")
        return <const uint64_t*> &self.view[<Py_ssize_t> (start + 8 * max(<int> target_id - 1, 0))]

    def read(self, scope="desk", uint32_t target_id=0):
        """Return (mode code, epoch) of one word; KeyError for an unknown scope."""
        cdef uint64_t word = pyoms_load(self.word(scope, target_id))
        return word >> EPOCH_BITS, word & EPOCH_MASK

    def trip(self, mode="cancel_only", scope="desk", uint32_t target_id=0):
        """Engage at least `mode`; the epoch of the switch after it.

        It does not wait: whether every sender has seen it is for `pyoms kill` to tell.
        """
        return pyoms_native.engage(self.desk, scope, target_id, mode)
