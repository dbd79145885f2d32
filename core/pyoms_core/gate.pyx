"""The gate: commands into the engine, one at a time or in batches, without the GIL.

Called by `pyoms.engine`, by the ports of strategies and by a desk's own Cython strategies; one gate
belongs to one thread at a time. What must stay true: buffers are checked once at the door, no Python
object is touched below it, and no rule of the gate is here: Rust decides.
"""
cimport cython
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from pyoms_core import dispatch, layout
from pyoms_core.errors import ClOrdIdError, EngineError, GateError, ShapeError
from pyoms_core.fixed import whole

from pyoms_core.fixed cimport fixed_of
from pyoms_core.layout cimport (
    KIND_CANCEL_ORDER,
    KIND_NEW_ORDER,
    KIND_ORDER_TERMS,
    KIND_REFUSAL,
    KIND_REPLACE_ORDER,
    new_order_t,
    record_t,
    refusal_t,
)
from pyoms_core.native cimport native_api, native_api_t

cdef const native_api_t* api = native_api()

cdef enum:
    CL_ORD_ID_MAX = 36

ID_SIZE_MAX = CL_ORD_ID_MAX
"""Bytes of the longest ClOrdID(11) that a record holds."""

cdef unsigned char TAG_PARENT = layout.TAG_PARENT
cdef unsigned char TAG_TERMS = layout.TAG_TERMS
cdef frozenset PLAIN_TYPES = frozenset(
    layout.CODES["ord_type"][name].code for name in ("market", "limit")
)
cdef frozenset PLAIN_TIMES = frozenset(
    layout.CODES["time_in_force"][name].code for name in ("day", "gtc", "ioc", "fok")
)
cdef unsigned char TAG_EFFECT_SHIFT = layout.TAG_EFFECT_SHIFT
cdef dict VERDICTS = layout.NAMES["verdict"]
cdef dict SIDES = {name: code.code for name, code in layout.CODES["side"].items()}


def code_of(str enumeration, name):
    """Give the code of a name; EngineError names what is allowed."""
    if not isinstance(name, str):
        return whole(name, enumeration, 0, 255)
    found = layout.CODES[enumeration].get(name)
    if found is None:
        allowed = ", ".join(layout.CODES[enumeration])
        raise EngineError(f"{enumeration} {name!r} is not one of {allowed}")
    return found.code


def carries_terms(int ord_type, int time_in_force):
    """Whether an order of these codes goes with an offer of terms, even if none is given."""
    return ord_type not in PLAIN_TYPES or time_in_force not in PLAIN_TIMES


cdef object refused(int64_t code):
    if code == BUSY:
        return GateError("the engine is in use by another thread: nothing was taken")
    return GateError("the engine takes no commands: it was closed, it is a replay, or a call panicked")


cdef object bad_id(object text, str what):
    """Say what is wrong with an id, with the value and the bound."""
    if not isinstance(text, (str, bytes)):
        return ClOrdIdError(f"{what} {repr(text)[:60]} is a {type(text).__name__}: give a str")
    shown = text if isinstance(text, str) else text.decode("latin-1")
    allowed = f"1 to {CL_ORD_ID_MAX} printable ASCII characters are allowed"
    for at, letter in enumerate(shown):
        if not " " <= letter <= "~":
            return ClOrdIdError(f"{what} {shown[:40]!r} has {letter!r} at {at}: {allowed}")
    return ClOrdIdError(f"{what} {shown[:40]!r} has {len(shown)} bytes: {allowed}")


cdef int put_id(char* field, object cl_ord_id, str what) except -1:
    """Write an id into its field, zero padded; the one place that says what an id may be."""
    cdef const unsigned char* text
    cdef Py_ssize_t size = 0, i
    if isinstance(cl_ord_id, str):  # an ASCII str lends its own bytes; any other shows bytes > 126
        try:
            text = <const unsigned char*> PyUnicode_AsUTF8AndSize(cl_ord_id, &size)
        except UnicodeEncodeError:
            raise bad_id(cl_ord_id, what) from None
    elif isinstance(cl_ord_id, bytes):
        text = <bytes> cl_ord_id
        size = len(<bytes> cl_ord_id)
    else:
        raise bad_id(cl_ord_id, what)
    if not 1 <= size <= CL_ORD_ID_MAX:
        raise bad_id(cl_ord_id, what)
    for i in range(size):
        if not 32 <= text[i] <= 126:
            raise bad_id(cl_ord_id, what)
    memset(field, 0, CL_ORD_ID_MAX)
    memcpy(field, text, size)
    return 0


def client_id(text, str what="cl_ord_id"):
    """Give the bytes of a client id; ClOrdIdError if a record cannot hold it whole."""
    cdef char field[CL_ORD_ID_MAX]
    put_id(field, text, what)
    return field[:len(text)]


@cython.final
@cython.freelist(64)
cdef class Verdict:
    """The gate's answer to one command; true when accepted, its text is the sentence."""

    cdef readonly int code
    cdef readonly uint64_t order_seq
    cdef readonly uint64_t command_seq
    cdef readonly int64_t value
    cdef readonly int64_t bound

    def __init__(
        self, int code, uint64_t order_seq=0, uint64_t command_seq=0, int64_t value=0,
        int64_t bound=0,
    ):
        self.code, self.order_seq, self.command_seq = code, order_seq, command_seq
        self.value, self.bound = value, bound

    @property
    def name(self):
        """Name of the verdict, ``accepted`` or why not."""
        return VERDICTS.get(self.code, str(self.code))

    @property
    def accepted(self):
        """Whether the command was accepted."""
        return self.code == 0

    @property
    def sentence(self):
        """What a trader reads, numbers filled in."""
        return dispatch.sentence(self.code, self.value, self.bound)

    def __bool__(self):
        """Tell whether the command was accepted."""
        return self.code == 0

    def __str__(self):
        """Give the sentence."""
        return self.sentence

    def __repr__(self):
        """Show name, order and command."""
        return f"<Verdict {self.name} order {self.order_seq} command {self.command_seq}>"

    def __reduce__(self):
        """Copy and pickle by value."""
        return Verdict, (self.code, self.order_seq, self.command_seq, self.value, self.bound)

    def __eq__(self, other):
        """Compare all five numbers."""
        return isinstance(other, Verdict) and self.__reduce__() == other.__reduce__()

    def __hash__(self):
        """Hash all five numbers."""
        return hash(self.__reduce__())


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
    position_effect : int
        Code; what a hedging account's orders must tell.
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
        unsigned char position_effect=0,
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
        self.tags = (position_effect & 3) << TAG_EFFECT_SHIFT
        self.order.tags = self.tags
        self.cancel_record.header.kind = KIND_CANCEL_ORDER
        self.cancel_record.session_id = session_id
        self.replace_record.header.kind = KIND_REPLACE_ORDER
        self.replace_record.session_id = session_id
        self.carries_terms = carries_terms(ord_type, time_in_force)

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

    cdef int32_t take_with(self, record_t* record) noexcept nogil:
        cdef int32_t verdict = api.port_submit_with(
            self.port, <const record_t*> &self.offer, record, &self.command_seq
        )
        if verdict >= 0:
            self.event_seq = record.header.event_seq
            self.order_seq = record.header.order_seq
        return verdict

    cdef int load(self, bytes offer) except -1:
        memset(&self.offer, 0, sizeof(self.offer))
        if offer is not None:
            if len(offer) != sizeof(self.offer):
                raise ShapeError(
                    f"an offer has {sizeof(self.offer)} bytes, this one {len(offer)}"
                )
            memcpy(&self.offer, <const char*> offer, sizeof(self.offer))
        self.offer.header.kind = KIND_ORDER_TERMS
        return 0

    cdef int32_t place(
        self,
        unsigned char side,
        int64_t price,
        int64_t order_qty,
        uint64_t parent_order_seq,
        bint is_parent,
        bytes offer,
    ) except -1:
        cdef int32_t verdict
        cdef bint plain = offer is None and not self.carries_terms
        if not plain:
            self.load(offer)
        self.order.header.order_seq = 0
        self.order.price = price
        self.order.order_qty = order_qty
        self.order.side = side
        self.order.parent_order_seq = parent_order_seq
        self.order.tags = self.tags | TAG_PARENT if is_parent else self.tags
        if plain:
            verdict = self.take(<record_t*> &self.order)
        else:
            self.order.tags |= TAG_TERMS
            verdict = self.take_with(<record_t*> &self.order)
        self.order.parent_order_seq = 0
        self.order.tags = self.tags
        if verdict < 0:
            raise refused(verdict)
        return verdict

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
        bytes offer=None,
    ):
        """Submit one new order on the bound terms; the verdict's code, 0 for accepted.

        `offer` is the ``order_terms`` record that it carries, if any; both go in one call.

        Raises
        ------
        ClOrdIdError
            For a ``cl_ord_id`` that is not 1 to 36 printable ASCII characters.
        GateError
            When the engine is in use by another thread or takes no commands.
        """
        put_id(<char*> self.order.cl_ord_id, cl_ord_id, "cl_ord_id")
        return self.place(side, price, order_qty, parent_order_seq, is_parent, offer)

    def cancel(self, cl_ord_id, uint64_t order_seq=0, orig_cl_ord_id=None):
        """Cancel one order, named by our number or by its client id; the verdict's code."""
        cdef int32_t verdict
        put_id(<char*> self.cancel_record.cl_ord_id, cl_ord_id, "cl_ord_id")
        memset(self.cancel_record.orig_cl_ord_id, 0, CL_ORD_ID_MAX)
        if orig_cl_ord_id is not None:
            put_id(<char*> self.cancel_record.orig_cl_ord_id, orig_cl_ord_id, "orig_cl_ord_id")
        self.cancel_record.header.order_seq = order_seq
        verdict = self.take(<record_t*> &self.cancel_record)
        if verdict < 0:
            raise refused(verdict)
        return verdict

    def replace(
        self, cl_ord_id, int64_t price, int64_t order_qty, uint64_t order_seq=0,
        orig_cl_ord_id=None, bytes offer=None,
    ):
        """Replace price and total quantity of one order, with `offer` its stop price too.

        The verdict's code.
        """
        cdef int32_t verdict
        put_id(<char*> self.replace_record.cl_ord_id, cl_ord_id, "cl_ord_id")
        memset(self.replace_record.orig_cl_ord_id, 0, CL_ORD_ID_MAX)
        if orig_cl_ord_id is not None:
            put_id(<char*> self.replace_record.orig_cl_ord_id, orig_cl_ord_id, "orig_cl_ord_id")
        self.replace_record.header.order_seq = order_seq
        self.replace_record.price = price
        self.replace_record.order_qty = order_qty
        if offer is None:
            self.replace_record.tags = 0
            verdict = self.take(<record_t*> &self.replace_record)
        else:
            self.load(offer)
            self.replace_record.tags = TAG_TERMS
            verdict = self.take_with(<record_t*> &self.replace_record)
        if verdict < 0:
            raise refused(verdict)
        return verdict

    def command(self, const unsigned char[::1] record not None):
        """Submit any command of 128 bytes, a mass cancel say; the verdict's code."""
        cdef record_t copy
        cdef int32_t verdict
        if record.shape[0] != sizeof(record_t):
            raise ShapeError(f"a record has {sizeof(record_t)} bytes, this one {record.shape[0]}")
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
            raise ShapeError(
                f"verdicts holds {count} rows, orders {orders.shape[0] / sizeof(new_order_t):g}"
            )
        if order_seqs is not None:
            if <size_t> order_seqs.shape[0] != count:
                raise ShapeError(f"order_seqs holds {order_seqs.shape[0]} rows, orders {count}")
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


cdef inline bint is_plain(object term):
    """Whether a term may be a key as it is: True, 1.0 and 1 are one key, and not one term."""
    return type(term) is str or type(term) is int


cdef class Verbs:
    """Submit as people call it: names and decimals in, a verdict out, one call of the core.

    Base of `pyoms.engine.Oms`, whose ``gate`` resolves names and whose ``offered`` makes the record
    of an order's terms; what ``gate`` answered is kept here by the names as they were given.

    Attributes
    ----------
    core : pyoms_native.Port
        The engine or desk.
    session, account : str
        Whose orders they are where a call does not say.
    """

    cdef public object core
    cdef public object session
    cdef public object account
    cdef dict bound
    cdef tuple given       # how the last call named its gate
    cdef Gate given_gate
    cdef bytes epoch
    cdef uint64_t count

    def __init__(self, core):
        self.core = core
        self.session = self.account = ""
        self.bound = {}

    cdef size_t put_next_id(self, char* field) except 0:
        """Write an id that this log has not seen from here, and give its size."""
        cdef char digits[20]
        cdef uint64_t left
        cdef size_t size, count = 0
        if self.epoch is None:
            self.epoch = b"%d." % self.core.counters()["epoch"]
        self.count += 1
        left = self.count
        while left:
            count += 1
            digits[20 - count] = <char> (48 + left % 10)
            left //= 10
        size = len(self.epoch)
        memset(field, 0, CL_ORD_ID_MAX)
        memcpy(field, <const char*> self.epoch, size)
        memcpy(field + size, &digits[20 - count], count)
        return size + count

    def next_id(self):
        """Make a client id that this log has not seen from here: epoch and count."""
        cdef char field[CL_ORD_ID_MAX]
        cdef size_t size = self.put_next_id(field)
        return field[:size].decode("ascii")

    def submit(
        self,
        instrument,
        side,
        qty,
        price=None,
        *,
        cl_ord_id=None,
        parent=0,
        bint is_parent=False,
        account=None,
        session=None,
        strategy=0,
        venue=0,
        ord_type=None,
        time_in_force="day",
        position_effect="none",
        **terms,  # not each by name: a call that gives none pays for one empty dict
    ):
        """Submit one new order.

        Parameters
        ----------
        instrument, side : str
            As defined; ``"buy"``, ``"sell"``.
        qty, price : str, int, Decimal or exact float
            Whole units for an int; no price makes a market order.
        cl_ord_id : str
            ClOrdID(11), 1 to 36 printable ASCII characters; made up when not given.
        parent : int
            Number of the parent this is a child of.
        account, session, strategy, venue, ord_type, time_in_force, position_effect : str
            As for ``gate``; without an `ord_type` the price and the terms say it.
        **terms
            ``stop_px``, ``trail``, ``expire_time`` and what else ``pyoms.terms.OrderTerms`` has.
        """
        cdef Gate gate
        cdef int64_t fixed_price = 0, fixed_qty
        cdef uint64_t parent_order_seq = 0
        cdef bytes offer = None
        account = self.account if account is None else account
        session = self.session if session is None else session
        if terms:
            ord_type, offer = self.offered(ord_type, price, terms)
        if ord_type is None:
            ord_type = "market" if price is None else "limit"
        gate = self.bind(
            instrument, account, session, strategy, venue, ord_type, time_in_force, position_effect
        )
        code = SIDES.get(side) if type(side) is str else None
        if code is None:
            code = code_of("side", side)
        if price is not None:
            fixed_price = fixed_of(price, "price")
        fixed_qty = fixed_of(qty, "order_qty")
        if type(parent) is not int or parent != 0:
            parent_order_seq = whole(parent, "parent", 0, 2**64 - 1)
        if cl_ord_id is None:
            self.put_next_id(<char*> gate.order.cl_ord_id)
        else:
            put_id(<char*> gate.order.cl_ord_id, cl_ord_id, "cl_ord_id")
        return self.verdict_of(
            gate.place(code, fixed_price, fixed_qty, parent_order_seq, is_parent, offer), gate
        )

    cdef Gate bind(
        self, object instrument, object account, object session, object strategy, object venue,
        object ord_type, object time_in_force, object position_effect,
    ):
        """Find the gate of these terms, as given or by what they name."""
        cdef tuple given = self.given
        cdef bint plain
        if (
            given is not None and given[0] is instrument and given[1] is account
            and given[2] is session and given[3] is strategy and given[4] is venue
            and given[5] is ord_type and given[6] is time_in_force and given[7] is position_effect
        ):
            return self.given_gate  # the very objects of the last call, which it keeps
        plain = (
            is_plain(instrument) and is_plain(account) and is_plain(session) and is_plain(strategy)
            and is_plain(venue) and is_plain(ord_type) and is_plain(time_in_force)
            and is_plain(position_effect)
        )
        if plain:
            given = (
                instrument, account, session, strategy, venue, ord_type, time_in_force,
                position_effect,
            )
            found = self.bound.get(given)
            if found is not None:
                self.given, self.given_gate = given, <Gate> found
                return <Gate> found
        gate = self.gate(
            instrument,
            account=account,
            session=session,
            strategy=strategy,
            venue=venue,
            ord_type=ord_type,
            time_in_force=time_in_force,
            position_effect=position_effect,
        )
        if plain:
            self.bound[given] = gate
        return gate

    cpdef Verdict verdict_of(self, int code, Gate gate):
        """Give the answer to the gate's last command, with the numbers of a refusal."""
        cdef refusal_t refusal
        cdef Verdict verdict = Verdict.__new__(Verdict)
        verdict.code = code
        verdict.order_seq = gate.order_seq
        verdict.command_seq = gate.command_seq
        if code and gate.event_seq:
            told = self.core.record(gate.event_seq + 1)
            if told is not None:
                memcpy(&refusal, <const char*> (<bytes> told), sizeof(refusal_t))
                if refusal.header.kind == KIND_REFUSAL:
                    verdict.value, verdict.bound = refusal.value, refusal.bound
        return verdict
