# The gate for other Cython modules: a desk's own strategy cimports `Gate` and calls `take`, which
# needs no GIL. One gate belongs to one thread at a time; the engine itself may be shared, then a
# call that finds it in use answers BUSY and nothing was taken.
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t

from pyoms_core.layout cimport (
    cancel_order_t,
    new_order_t,
    order_terms_t,
    record_t,
    replace_order_t,
)

cdef enum:
    BUSY = -1    # someone else is inside
    BROKEN = -2  # an earlier call panicked, or this engine takes no commands

cdef class Gate:
    cdef object capsule        # owns what `port` points to
    cdef const void* port
    cdef new_order_t order     # bound once: instrument, account, session, strategy
    cdef unsigned char tags    # of every order: its position effect
    cdef cancel_order_t cancel_record
    cdef replace_order_t replace_record
    cdef order_terms_t offer
    cdef bint carries_terms    # by its types: an offer goes with every order, an empty one too
    cdef readonly uint64_t order_seq
    cdef readonly uint64_t event_seq
    cdef readonly uint64_t command_seq

    # Any command; its verdict, or BUSY, BROKEN. The record's header is overwritten with the answer.
    cdef int32_t take(self, record_t* record) noexcept nogil
    # One new order on the bound terms. `cl_ord_id` has `size` bytes, 1 to 36.
    cdef int32_t new_order(
        self, const char* cl_ord_id, size_t size, uint32_t side, int64_t price, int64_t order_qty
    ) noexcept nogil
    # The same for a new order or replace that carries the terms in `offer`: both or neither.
    cdef int32_t take_with(self, record_t* record) noexcept nogil
    # Puts terms into `offer`, None for empty ones; ShapeError for other than one record.
    cdef int load(self, bytes offer) except -1
    # The same with its id in the record already, and the terms it carries; GateError when it was
    # not taken.
    cdef int32_t place(
        self,
        unsigned char side,
        int64_t price,
        int64_t order_qty,
        uint64_t parent_order_seq,
        bint is_parent,
        bytes offer,
    ) except -1
    cdef int64_t now_ns(self) noexcept nogil
    # Bid price, bid size, offer price, offer size, into `out`; 0 when it is there.
    cdef int32_t quote(self, uint32_t instrument_id, int64_t* out) noexcept nogil
