"""The gate: commands into the engine, one at a time or in batches, without the GIL.

Called by `pyoms.engine`, by the ports of strategies and by a desk's own Cython strategies; one gate
belongs to one thread at a time. What must stay true: buffers are checked once at the door, no Python
object is touched below it, and no rule of the gate is here: Rust decides.
"""
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from pyoms_core import layout
from pyoms_core.layout cimport (
    KIND_CANCEL_ORDER,
    KIND_NEW_ORDER,
    KIND_REPLACE_ORDER,
    new_order_t,
    record_t,
)
from pyoms_core.native cimport native_api, native_api_t

cdef const native_api_t* api = native_api()

cdef size_t CL_ORD_ID_MAX = 36
cdef unsigned char TAG_PARENT = layout.TAG_PARENT


class GateError(RuntimeError):
    """The engine did not take a command: it is in use by another thread, or it is broken."""


cdef object refused(int64_t code):
    if code == BUSY:
        return GateError("the engine is in use by another thread: nothing was taken")
    return GateError("the engine takes no commands: it was closed, it is a replay, or a call panicked")


cdef object bad_id(object cl_ord_id):
    """Say what is wrong with an id, with the value and the bound."""
    if not isinstance(cl_ord_id, (str, bytes)):
        return ValueError(f"cl_ord_id {cl_ord_id!r} is a {type(cl_ord_id).__name__}: give a str")
    text = cl_ord_id if isinstance(cl_ord_id, str) else cl_ord_id.decode("latin-1")
    size = len(text.encode("utf-8", "surrogatepass"))
    if not text.isascii() or not text.isprintable():
        at = next(i for i, c in enumerate(text) if not (" " <= c <= "~"))
        return ValueError(
            f"cl_ord_id {text[:40]!r} has {text[at]!r} at {at}: 1 to 36 printable ASCII characters "
            "are allowed"
        )
    return ValueError(
        f"cl_ord_id {text[:40]!r} has {size} bytes: 1 to 36 printable ASCII characters are allowed"
    )


cdef int put_id(char* field, object cl_ord_id) except -1:
    """Write an id into its field, zero padded."""
    cdef const unsigned char* text
    cdef Py_ssize_t size = 0, i
    if isinstance(cl_ord_id, str):  # an ASCII str lends its own bytes; any other shows bytes > 126
        try:
            text = <const unsigned char*> PyUnicode_AsUTF8AndSize(cl_ord_id, &size)
        except UnicodeEncodeError:
            raise bad_id(cl_ord_id) from None
    elif isinstance(cl_ord_id, bytes):
        text = <bytes> cl_ord_id
        size = len(<bytes> cl_ord_id)
    else:
        raise bad_id(cl_ord_id)
    if not 1 <= size <= <Py_ssize_t> CL_ORD_ID_MAX:
        raise bad_id(cl_ord_id)
    for i in range(size):
        if not 32 <= text[i] <= 126:
            raise bad_id(cl_ord_id)
    memset(field, 0, CL_ORD_ID_MAX)
    memcpy(field, text, size)
    return 0


cdef class Gate:
    """Commands on bound terms: who trades what for whom is given once.

    Prices and quantities are fixed point at 1e-9. A verdict's code comes back, 0 for accepted;
    :attr:`order_seq`, :attr:`event_seq` and :attr:`command_seq` speak of the last command.

    Parameters
    ----------
    port : pyoms_native.Port
        The engine or desk.
    instrument_id, account_id, session_id, strategy_id, venue_id : int
        As defined there; 0 where there is none.
    ord_type, time_in_force : int
        Codes; limit and day by default.
    """

    def __cinit__(
        self,
        port not None,
        *,
        uint32_t instrument_id=0,
        uint32_t account_id=0,
        uint16_t session_id=0,
        uint16_t strategy_id=0,
        uint16_t venue_id=0,
        unsigned char ord_type=2,
        unsigned char time_in_force=1,
    ):
        self.capsule = port.capsule()
        self.port = PyCapsule_GetPointer(self.capsule, "pyoms_native.Port")
        memset(&self.order, 0, sizeof(self.order))
        memset(&self.cancel_record, 0, sizeof(self.cancel_record))
        memset(&self.replace_record, 0, sizeof(self.replace_record))
        self.order.header.kind = KIND_NEW_ORDER
        self.order.instrument_id = instrument_id
        self.order.account_id = account_id
        self.order.session_id = session_id
        self.order.strategy_id = strategy_id
        self.order.venue_id = venue_id
        self.order.ord_type = ord_type
        self.order.time_in_force = time_in_force
        self.cancel_record.header.kind = KIND_CANCEL_ORDER
        self.cancel_record.session_id = session_id
        self.replace_record.header.kind = KIND_REPLACE_ORDER
        self.replace_record.session_id = session_id

    cdef int32_t take(self, record_t* record) noexcept nogil:
        cdef int32_t verdict = api.port_submit(self.port, record, &self.command_seq)
        if verdict >= 0:
            self.event_seq = record.header.event_seq
            self.order_seq = record.header.order_seq
        return verdict

    cdef int32_t new_order(
        self, const char* cl_ord_id, size_t size, uint32_t side, int64_t price, int64_t order_qty
    ) noexcept nogil:
        memset(self.order.cl_ord_id, 0, CL_ORD_ID_MAX)
        memcpy(self.order.cl_ord_id, cl_ord_id, size if size < CL_ORD_ID_MAX else CL_ORD_ID_MAX)
        self.order.header.order_seq = 0
        self.order.price = price
        self.order.order_qty = order_qty
        self.order.side = <unsigned char> side
        return self.take(<record_t*> &self.order)

    cdef int64_t now_ns(self) noexcept nogil:
        return api.port_now(self.port)

    cdef int32_t quote(self, uint32_t instrument_id, int64_t* out) noexcept nogil:
        return api.port_quote(self.port, instrument_id, out)

    def submit(
        self,
        cl_ord_id,
        unsigned char side,
        int64_t price,
        int64_t order_qty,
        uint64_t parent_order_seq=0,
        bint is_parent=False,
    ):
        """Submit one new order on the bound terms; the verdict's code, 0 for accepted.

        Raises
        ------
        ValueError
            For a ``cl_ord_id`` that is not 1 to 36 printable ASCII characters.
        GateError
            When the engine is in use by another thread or takes no commands.
        """
        cdef int32_t verdict
        put_id(<char*> self.order.cl_ord_id, cl_ord_id)
        self.order.header.order_seq = 0
        self.order.price = price
        self.order.order_qty = order_qty
        self.order.side = side
        self.order.parent_order_seq = parent_order_seq
        self.order.tags = TAG_PARENT if is_parent else 0
        verdict = self.take(<record_t*> &self.order)
        self.order.parent_order_seq = 0
        self.order.tags = 0
        if verdict < 0:
            raise refused(verdict)
        return verdict

    def cancel(self, cl_ord_id, uint64_t order_seq=0, orig_cl_ord_id=None):
        """Cancel one order, named by our number or by its client id; the verdict's code."""
        cdef int32_t verdict
        put_id(<char*> self.cancel_record.cl_ord_id, cl_ord_id)
        memset(self.cancel_record.orig_cl_ord_id, 0, CL_ORD_ID_MAX)
        if orig_cl_ord_id is not None:
            put_id(<char*> self.cancel_record.orig_cl_ord_id, orig_cl_ord_id)
        self.cancel_record.header.order_seq = order_seq
        verdict = self.take(<record_t*> &self.cancel_record)
        if verdict < 0:
            raise refused(verdict)
        return verdict

    def replace(
        self, cl_ord_id, int64_t price, int64_t order_qty, uint64_t order_seq=0, orig_cl_ord_id=None
    ):
        """Replace price and total quantity of one order; the verdict's code."""
        cdef int32_t verdict
        put_id(<char*> self.replace_record.cl_ord_id, cl_ord_id)
        memset(self.replace_record.orig_cl_ord_id, 0, CL_ORD_ID_MAX)
        if orig_cl_ord_id is not None:
            put_id(<char*> self.replace_record.orig_cl_ord_id, orig_cl_ord_id)
        self.replace_record.header.order_seq = order_seq
        self.replace_record.price = price
        self.replace_record.order_qty = order_qty
        verdict = self.take(<record_t*> &self.replace_record)
        if verdict < 0:
            raise refused(verdict)
        return verdict

    def command(self, const unsigned char[::1] record not None):
        """Submit any command of 128 bytes, a mass cancel say; the verdict's code."""
        cdef record_t copy
        cdef int32_t verdict
        if record.shape[0] != sizeof(record_t):
            raise ValueError(f"a record has {sizeof(record_t)} bytes, this one {record.shape[0]}")
        memcpy(&copy, &record[0], sizeof(record_t))
        verdict = self.take(&copy)
        if verdict < 0:
            raise refused(verdict)
        return verdict

    def submit_many(
        self,
        const unsigned char[::1] orders not None,
        uint16_t[::1] verdicts not None,
        uint64_t[::1] order_seqs=None,
    ):
        """Submit many new orders; how many were accepted.

        Parameters
        ----------
        orders : buffer of bytes
            Records of dtype ``new_order``, as ``array.view("u1")``; they are not changed.
        verdicts : uint16 array
            Gets the verdict's code of each.
        order_seqs : uint64 array, optional
            Gets our number of each, 0 for a refused one.
        """
        cdef size_t count = <size_t> verdicts.shape[0]
        cdef uint64_t* seqs = NULL
        cdef int64_t accepted
        if <size_t> orders.shape[0] != count * sizeof(new_order_t):
            raise ValueError(
                f"verdicts holds {count} rows, orders {orders.shape[0] / sizeof(new_order_t):g}"
            )
        if order_seqs is not None:
            if <size_t> order_seqs.shape[0] != count:
                raise ValueError(f"order_seqs holds {order_seqs.shape[0]} rows, orders {count}")
            if count:
                seqs = &order_seqs[0]
        if count == 0:
            return 0
        with nogil:  # one crossing per batch; no Python object below this line
            accepted = api.port_submit_many(
                self.port, <const new_order_t*> &orders[0], count, &verdicts[0], seqs
            )
        if accepted < 0:
            raise refused(accepted)
        return accepted
