"""A strategy that enters with a bracket: a limit to get in, a target and a stop to get out.

Run it by a configuration's ``[[strategy]]`` with ``entry = "examples.bracket:Bracket"`` and
``params``, or inline with a `pyoms.Dispatcher`. The two ways out wait here, at the desk, until the
entry is filled; the fill of one cancels the other. When half of the way to the target is gained,
the stop moves to the price of the entry.
"""

from collections.abc import Mapping
from typing import Any

from pyoms.numbers import Fixed, fixed
from pyoms.strategy import Strategy
from pyoms.terms import OrderTerms
from pyoms_core.dispatch import Event


class Bracket(Strategy):
    """One round trip; prices are decimal text, distances from the entry.

    Attributes
    ----------
    entry, target, stop : int
        Our numbers of the three legs; 0 until the desk has accepted them.
    """

    def __init__(self, name: str = "", *, account: str = "", session: str = "") -> None:
        super().__init__(name, account=account, session=session)
        self.instrument, self.qty, self.price = "ESH4", "1", "4800.00"
        self.gain, self.loss = "4.00", "2.00"
        self.entry = self.target = self.stop = 0
        self.moved = False

    def take_params(self, params: Mapping[str, Any]) -> None:
        """Take ``[strategy.params]``: instrument, qty, price, gain, loss."""
        for key, value in params.items():
            if key not in ("instrument", "qty", "price", "gain", "loss"):
                raise ValueError(f"{key} is no parameter: instrument, qty, price, gain, loss are")
            setattr(self, key, value)

    def on_start(self) -> None:
        """Enter: the first leg of a bracket, which founds its group."""
        self.oms.submit(
            *(self.instrument, "buy", self.qty, self.price),
            cl_ord_id="entry",
            contingency="bracket",
        )

    def on_accepted(self, e: Event) -> None:
        """Hang the ways out on the entry, and note who is who."""
        if e.kind_name != "order_accepted":
            return
        name, entry_px = e.cl_ord_id, fixed(self.price)
        if name == "entry":
            self.entry = e.order_seq
            out: OrderTerms = {"contingency": "bracket", "group": self.entry}
            target_px = Fixed(entry_px + fixed(self.gain))
            stop_px = Fixed(entry_px - fixed(self.loss))
            self.oms.submit(
                *(self.instrument, "sell", self.qty, target_px), cl_ord_id="target", **out
            )
            out["stop_px"], out["exec_inst"] = stop_px, "by_quote"
            self.oms.submit(self.instrument, "sell", self.qty, cl_ord_id="stop", **out)
        elif name == "target":
            self.target = e.order_seq
        elif name == "stop":
            self.stop = e.order_seq

    def on_quote(
        self,
        instrument_id: int,  # noqa: ARG002
        bid_px: int,
        bid_qty: int,  # noqa: ARG002
        ask_px: int,  # noqa: ARG002
        ask_qty: int,  # noqa: ARG002
        now_ns: int,  # noqa: ARG002
    ) -> None:
        """Move the stop to the entry's price once half of the gain is there."""
        entry_px = fixed(self.price)
        half = entry_px + fixed(self.gain) // 2
        row = self.oms.order(self.stop) if self.stop and not self.moved else None
        if row is not None and row["ord_status"] == "held" and bid_px >= half:
            self.moved = True
            self.oms.replace(self.stop, None, self.qty, stop_px=Fixed(entry_px))
