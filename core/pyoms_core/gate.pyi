from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pyoms_core.fixed import Number

ID_SIZE_MAX: Final = 36

def client_id(text: str | bytes, what: str = "cl_ord_id") -> bytes: ...
def carries_terms(ord_type: int, time_in_force: int) -> bool: ...
def code_of(enumeration: str, name: str | int) -> int: ...

class Verdict:
    code: int
    order_seq: int
    command_seq: int
    value: int
    bound: int
    def __init__(
        self, code: int, order_seq: int = 0, command_seq: int = 0, value: int = 0, bound: int = 0
    ) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def accepted(self) -> bool: ...
    @property
    def sentence(self) -> str: ...
    def __bool__(self) -> bool: ...

class Gate:
    order_seq: int
    event_seq: int
    command_seq: int
    def __init__(
        self,
        port: Any,
        *,
        instrument_id: int = 0,
        account_id: int = 0,
        session_id: int = 0,
        strategy_id: int = 0,
        venue_id: int = 0,
        ord_type: int = 2,
        time_in_force: int = 1,
        position_effect: int = 0,
    ) -> None: ...
    def submit(
        self,
        cl_ord_id: str | bytes,
        side: int,
        price: int,
        order_qty: int,
        parent_order_seq: int = 0,
        is_parent: bool = False,
        offer: bytes | None = None,
    ) -> int: ...
    def cancel(
        self, cl_ord_id: str | bytes, order_seq: int = 0, orig_cl_ord_id: str | None = None
    ) -> int: ...
    def replace(
        self,
        cl_ord_id: str | bytes,
        price: int,
        order_qty: int,
        order_seq: int = 0,
        orig_cl_ord_id: str | None = None,
        offer: bytes | None = None,
    ) -> int: ...
    def command(self, record: bytes | memoryview | npt.NDArray[np.uint8]) -> int: ...
    def submit_many(
        self,
        orders: npt.NDArray[np.uint8] | memoryview,
        verdicts: npt.NDArray[np.uint16],
        order_seqs: npt.NDArray[np.uint64] | None = None,
    ) -> int: ...

class Verbs:
    core: Any
    session: str
    account: str
    def __init__(self, core: Any) -> None: ...
    def next_id(self) -> str: ...
    def submit(
        self,
        instrument: str | int,
        side: str | int,
        qty: Number,
        price: Number | None = None,
        *,
        cl_ord_id: str | bytes | None = None,
        parent: int = 0,
        is_parent: bool = False,
        account: str | int | None = None,
        session: str | int | None = None,
        strategy: str | int = 0,
        venue: str | int = 0,
        ord_type: str | int | None = None,
        time_in_force: str | int = "day",
        position_effect: str | int = "none",
        stop_px: Number | None = None,
        trail: Number | None = None,
        trail_ppm: int | None = None,
        expire_time: datetime | int | None = None,
        expire_date: date | str | None = None,
        max_floor: Number | None = None,
        exec_inst: str | Iterable[str] | None = None,
        peg: str | None = None,
        peg_offset: Number | None = None,
        contingency: str | None = None,
        group: int | None = None,
    ) -> Verdict: ...
    def verdict_of(self, code: int, gate: Gate) -> Verdict: ...
