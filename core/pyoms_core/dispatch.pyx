"""Events of the log to the strategies they concern: who owns an order, and which callback it is.

Called by `pyoms.strategy.Dispatcher` on one thread: a batch is fetched without the GIL, then handed
out under it. What must stay true: an event goes to the strategy that owns its order, in the order of
the log, whole (a refusal with its numbers); what it means was decided by the engine, not here.
"""
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from pyoms_core import layout
from pyoms_core.fixed import to_text

from pyoms_core.layout cimport (
    DISPOSITION_APPLIED,
    DISPOSITION_LATE,
    DISPOSITION_OVERFILL,
    KIND_CANCEL_ACCEPTED,
    KIND_CHANGE_REFUSED,
    KIND_COMMAND_REPEATED,
    KIND_DROPPED_UNSENT,
    KIND_EXECUTION_REPORT,
    KIND_MASS_CANCEL,
    KIND_ORDER_ACCEPTED,
    KIND_ORDER_REFUSED,
    KIND_OUTCOME_UNKNOWN,
    KIND_PHASE_CHANGE,
    KIND_POSITION_SPLIT,
    KIND_REFUSAL,
    KIND_REPLACE_ACCEPTED,
    change_refused_t,
    command_repeated_t,
    execution_report_t,
    mass_cancel_t,
    order_accepted_t,
    order_refused_t,
    phase_change_t,
    record_t,
    refusal_t,
)

from pyoms_core.native cimport native_api, native_api_t

cdef const native_api_t* api = native_api()  # refuses a core of another layout

_FORMATS = {"u1": 1, "<u2": 2, "<u4": 4, "<u8": 8, "<i4": -4, "<i8": -8}


def _fields(name):
    """Return field -> (offset, code or size of a text) of a record."""
    fields = {}
    for field, kind, offset in layout.TABLES[name][1]:
        if isinstance(kind, str):
            fields[field] = (offset, 100 + int(kind[1:]) if kind[0] == "S" else _FORMATS[kind])
    return fields


cdef dict FIELDS = {kind: _fields(name) for name, kind in layout.KINDS.items()}

# Field of a record -> enumeration whose names its codes have.
cdef dict ENUMS = {
    name: name
    for name in (
        "side", "ord_type", "time_in_force", "ord_status", "exec_type", "disposition", "phase",
        "msg_type", "rej_reason", "scope", "verdict", "entity", "position_leg", "position_effect",
    )
}
ENUMS.update({"mode": "kill_mode", "cause": "kill_cause", "action": "book_action"})


cdef class Event:
    """One record of the log: its fields by name, numbers fixed-point, texts as str.

    :attr:`value` and :attr:`bound` are a refusal's numbers, 0 elsewhere.
    """

    cdef record_t record
    cdef readonly int64_t value
    cdef readonly int64_t bound

    def __getattr__(self, field):
        """Give a field of the record; AttributeError names the kind that lacks it."""
        found = (<dict> FIELDS.get(self.record.header.kind, {})).get(field)
        if found is None:
            raise AttributeError(f"a record of kind {self.kind_name} has no field {field}")
        cdef const char* at = (<const char*> &self.record) + <size_t> found[0]
        cdef int code = found[1]
        cdef Py_ssize_t size = 0
        if code == 1:
            return (<const uint8_t*> at)[0]
        if code == 2:
            return (<const uint16_t*> at)[0]
        if code == 4:
            return (<const uint32_t*> at)[0]
        if code == 8:
            return (<const uint64_t*> at)[0]
        if code == -4:
            return (<const int32_t*> at)[0]
        if code == -8:
            return (<const int64_t*> at)[0]
        while size < code - 100 and at[size] != 0:
            size += 1
        return PyUnicode_DecodeASCII(at, size, "replace")

    @property
    def kind(self):
        """Kind of the record, as its number."""
        return self.record.header.kind

    @property
    def kind_name(self):
        """Kind of the record, as its name."""
        return layout.KIND_NAMES.get(self.record.header.kind, str(self.record.header.kind))

    def name(self, field):
        """Give the name of a field's code: ``name("side") -> "buy"``; None for an unknown code."""
        return layout.NAMES[ENUMS[field]].get(getattr(self, field))

    @property
    def verdict_name(self):
        """Name of the verdict of a refusal or a repeated command."""
        return layout.NAMES["verdict"].get(self.__getattr__("verdict"))

    @property
    def sentence(self):
        """The refusal as a trader reads it, its numbers filled in."""
        return sentence(self.__getattr__("verdict"), self.value, self.bound)

    def tobytes(self):
        """Return the record's 128 bytes."""
        return (<char*> &self.record)[:sizeof(record_t)]

    def __repr__(self):
        """Show kind, sequence and order."""
        header = self.record.header
        return f"<{self.kind_name} event {header.event_seq} order {header.order_seq}>"


cdef dict SPOKEN = {  # verdict -> enumerations whose codes its value and bound are
    "killed": ("scope", "kill_mode"),
    "side_unsupported": ("side", None),
    "ord_type_unsupported": ("ord_type", None),
    "time_in_force_unsupported": ("time_in_force", None),
    "market_closed": ("phase", None),
    "order_closed": ("ord_status", None),
}


def sentence(int verdict, int64_t value, int64_t bound):
    """Fill a verdict's sentence with the numbers of a refusal; codes become their names."""
    name = layout.NAMES["verdict"].get(verdict)
    if name is None:
        return f"verdict {verdict}"
    spoken = SPOKEN.get(name, (None, None))
    shown = [
        layout.NAMES[names].get(number, number) if names else number
        for names, number in zip(spoken, (value, bound))
    ]
    return layout.CODES["verdict"][name].doc.format(
        value=shown[0], bound=shown[1], value_e9=to_text(value), bound_e9=to_text(bound)
    )


cdef Event event_of(const record_t* record):
    cdef Event event = Event.__new__(Event)
    memcpy(&event.record, record, sizeof(record_t))
    return event


def event(const unsigned char[::1] record not None):
    """Make an :class:`Event` of a record's 128 bytes."""
    if record.shape[0] != sizeof(record_t):
        raise ValueError(f"a record has {sizeof(record_t)} bytes, this one {record.shape[0]}")
    return event_of(<const record_t*> &record[0])


# exec_type -> callback; what a query found is told by its ord_status.
cdef dict REPORTED = {
    layout.CODES["exec_type"][name].code: callback
    for name, callback in {
        "new": "on_ack",
        "trade": "on_fill",
        "canceled": "on_canceled",
        "replaced": "on_replaced",
        "rejected": "on_rejected",
        "cancel_rejected": "on_rejected",
        "replace_rejected": "on_rejected",
        "unknown_order": "on_rejected",
        "expired": "on_expired",
    }.items()
}
cdef dict FOUND = {
    layout.CODES["ord_status"][name].code: callback
    for name, callback in {
        "new": "on_ack",
        "canceled": "on_canceled",
        "rejected": "on_rejected",
        "expired": "on_expired",
    }.items()
}
cdef int ORDER_STATUS = layout.CODES["exec_type"]["order_status"].code


cdef class Router:
    """Hands events to the callbacks of the strategies they concern.

    A *target* is one strategy: a dict of callback name -> callable, and the (session_id,
    strategy_id) it trades under. Calls go in the order of the log, the specific one first, then
    ``on_event``.
    """

    cdef list targets
    cdef dict by_key      # (session_id, strategy_id) -> index
    cdef dict by_session  # session_id -> list of indices
    cdef uint16_t* owners  # order_seq -> index + 1
    cdef uint64_t owners_size
    cdef Event pending  # a refusal that waits for its numbers
    cdef readonly uint64_t next_seq

    def __cinit__(self, targets):
        self.targets, self.by_key, self.by_session = [], {}, {}
        for callbacks, session_id, strategy_id in targets:
            index = len(self.targets)
            if (session_id, strategy_id) in self.by_key:
                raise ValueError(f"two strategies on session {session_id}, strategy {strategy_id}")
            self.by_key[session_id, strategy_id] = index
            self.by_session.setdefault(session_id, []).append(index)
            self.targets.append(callbacks)
        self.owners_size = 1024
        self.owners = <uint16_t*> calloc(self.owners_size, sizeof(uint16_t))
        if self.owners == NULL:
            raise MemoryError
        self.next_seq = 1

    def __dealloc__(self):
        free(self.owners)

    cdef int own(self, uint64_t order_seq, object index) except -1:
        cdef uint64_t size = self.owners_size
        cdef uint16_t* grown
        if order_seq >= size:
            while size <= order_seq:
                size *= 2
            grown = <uint16_t*> realloc(self.owners, size * sizeof(uint16_t))
            if grown == NULL:
                raise MemoryError
            memset(grown + self.owners_size, 0, (size - self.owners_size) * sizeof(uint16_t))
            self.owners, self.owners_size = grown, size
        self.owners[order_seq] = <uint16_t> (index + 1)
        return 0

    cdef list owner(self, uint64_t order_seq):
        if 0 < order_seq < self.owners_size and self.owners[order_seq] != 0:
            return [self.owners[order_seq] - 1]
        return []

    cdef int call(self, list indices, str callback, Event event) except -1:
        for index in indices:
            callbacks = <dict> self.targets[index]
            if callback is not None and (target := callbacks.get(callback)) is not None:
                target(event)
            if (target := callbacks.get("on_event")) is not None:
                target(event)
        return 0

    cdef list of_session(self, uint16_t session_id, uint64_t order_seq):
        owners = self.owner(order_seq)
        return owners if owners else self.by_session.get(session_id, [])

    cdef int take(self, const record_t* record) except -1:
        """Hand out one record; whether it concerned anyone."""
        cdef int kind = record.header.kind
        cdef Event event
        cdef const execution_report_t* report
        cdef const phase_change_t* change
        if self.pending is not None:
            event, self.pending = self.pending, None
            if kind == KIND_REFUSAL:
                event.value = (<const refusal_t*> record).value
                event.bound = (<const refusal_t*> record).bound
            self.refused(event)
            if kind == KIND_REFUSAL:
                return 1
        if kind == KIND_ORDER_ACCEPTED:
            index = self.by_key.get((
                (<const order_accepted_t*> record).session_id,
                (<const order_accepted_t*> record).strategy_id,
            ))
            if index is None:
                return 0
            self.own(record.header.order_seq, index)
            return self.call([index], "on_accepted", event_of(record)) + 1
        if kind == KIND_ORDER_REFUSED or kind == KIND_CHANGE_REFUSED:
            self.pending = event_of(record)
            return 0
        if kind == KIND_EXECUTION_REPORT:
            owners = self.owner(record.header.order_seq)
            if not owners:
                return 0
            report = <const execution_report_t*> record
            callback = None
            if report.disposition in (DISPOSITION_APPLIED, DISPOSITION_LATE, DISPOSITION_OVERFILL):
                callback = (
                    FOUND.get(report.ord_status)
                    if report.exec_type == ORDER_STATUS
                    else REPORTED.get(report.exec_type)
                )
            return self.call(owners, callback, event_of(record)) + 1
        if kind == KIND_CANCEL_ACCEPTED or kind == KIND_REPLACE_ACCEPTED:
            return self.told(self.owner(record.header.order_seq), "on_accepted", record)
        if kind == KIND_OUTCOME_UNKNOWN:
            return self.told(self.owner(record.header.order_seq), "on_unknown", record)
        if kind == KIND_POSITION_SPLIT:
            return self.told(self.owner(record.header.order_seq), None, record)
        if kind == KIND_DROPPED_UNSENT:
            return self.told(self.owner(record.header.order_seq), "on_dropped", record)
        if kind == KIND_COMMAND_REPEATED:
            owners = self.of_session(
                (<const command_repeated_t*> record).session_id, record.header.order_seq
            )
            return self.told(owners, "on_repeated", record)
        if kind == KIND_MASS_CANCEL:
            owners = self.by_session.get((<const mass_cancel_t*> record).session_id, [])
            return self.told(owners, None, record)
        if kind == KIND_PHASE_CHANGE:
            change = <const phase_change_t*> record
            phase = layout.NAMES["phase"].get(change.phase, str(change.phase))
            for callbacks in self.targets:
                if (target := (<dict> callbacks).get("on_phase")) is not None:
                    target(change.venue_id, change.instrument_id, phase)
            return 1
        return 0

    cdef int told(self, list owners, str callback, const record_t* record) except -1:
        if not owners:
            return 0
        return self.call(owners, callback, event_of(record)) + 1

    cdef int refused(self, Event event) except -1:
        cdef const change_refused_t* change
        if event.record.header.kind == KIND_ORDER_REFUSED:
            index = self.by_key.get((
                (<const order_refused_t*> &event.record).session_id,
                (<const order_refused_t*> &event.record).strategy_id,
            ))
            return self.call([] if index is None else [index], "on_refused", event)
        change = <const change_refused_t*> &event.record
        owners = self.of_session(change.session_id, event.record.header.order_seq)
        return self.call(owners, "on_refused", event)

    def dispatch(self, batch not None, uint64_t until_seq=0xFFFFFFFFFFFFFFFF):
        """Hand out a batch of `pyoms_core.tape`, up to and with `until_seq`; how many records.

        The batch is checked before anything is believed: a lapped one raises and hands out nothing.
        """
        cdef const unsigned char[:, ::1] rows
        cdef Py_ssize_t i, count
        cdef const record_t* records
        if len(batch) == 0:
            return 0
        copied = batch.records.copy()
        batch.check()
        rows = copied.view("u1").reshape(len(batch), sizeof(record_t))
        count = rows.shape[0]
        records = <const record_t*> &rows[0, 0]
        for i in range(count):
            if records[i].header.event_seq > until_seq:
                return i
            self.next_seq = records[i].header.event_seq + 1
            self.take(&records[i])
        return count
