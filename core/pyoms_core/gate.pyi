from typing import Any

import numpy as np
import numpy.typing as npt

class GateError(RuntimeError): ...

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
    ) -> None: ...
    def submit(
        self,
        cl_ord_id: str | bytes,
        side: int,
        price: int,
        order_qty: int,
        parent_order_seq: int = 0,
        is_parent: bool = False,
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
    ) -> int: ...
    def command(self, record: bytes | memoryview | npt.NDArray[np.uint8]) -> int: ...
    def submit_many(
        self,
        orders: npt.NDArray[np.uint8] | memoryview,
        verdicts: npt.NDArray[np.uint16],
        order_seqs: npt.NDArray[np.uint64] | None = None,
    ) -> int: ...
