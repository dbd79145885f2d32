"""A second L3 book, for comparison alone: plain dicts, the package ``databento-dbn`` as reader.

Shares nothing with ``rust/engine/src/book.rs`` but the meaning of the records: T and F change
nothing, C takes size off, M changes price and size, A adds, R clears. Called by
``test_book_agrees.py``.
Must stay true: no level is kept empty, so a level's length is its number of orders.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import databento_dbn as dbn

NO_PRICE = -(2**63)
LOT = 10**9
TOP = struct.Struct("<QqqIIqq")  # sequence, bid px, qty, count, ask count, px, qty
LAST = 128  # flag of the last record of an event


def read_mbo(path: Path) -> Iterator[Any]:
    """Yield the market-by-order records of a packed DBN file, in order."""
    decoder = dbn.DBNDecoder(compression=dbn.Compression.from_str("zstd"))
    decoder.write(path.read_bytes())
    for record in decoder.decode():
        if isinstance(record, dbn.MBOMsg):
            yield record


class Book:
    """Orders by number; per side, levels by price; per level, sizes by order number."""

    def __init__(self) -> None:
        self.orders: dict[int, tuple[str, int]] = {}
        self.sides: dict[str, dict[int, dict[int, int]]] = {"B": {}, "A": {}}

    def _take(self, order_ref: int) -> int:
        side, price = self.orders.pop(order_ref)
        level = self.sides[side][price]
        qty = level.pop(order_ref)
        if not level:
            del self.sides[side][price]
        return qty

    def _put(self, order_ref: int, side: str, price: int, qty: int) -> None:
        assert order_ref not in self.orders, f"order {order_ref} is added twice"
        self.orders[order_ref] = (side, price)
        self.sides[side].setdefault(price, {})[order_ref] = qty  # a dict keeps the queue's order

    def apply(self, action: str, side: str, order_ref: int, price: int, qty: int) -> None:
        """Fold one record; a record that does not fit raises."""
        if action == "A":
            self._put(order_ref, side, price, qty)
        elif action == "M":
            old_side, old_price = self.orders[order_ref]
            assert old_side == side, f"order {order_ref} changes its side"
            level = self.sides[side][old_price]
            if price == old_price and qty <= level[order_ref]:
                level[order_ref] = qty  # keeps its place
            else:
                self._take(order_ref)
                self._put(order_ref, side, price, qty)
        elif action == "C":
            old_side, price = self.orders[order_ref]
            left = self.sides[old_side][price][order_ref] - qty
            if left > 0:
                self.sides[old_side][price][order_ref] = left
            else:
                self._take(order_ref)
        elif action == "R":
            self.orders.clear()
            self.sides = {"B": {}, "A": {}}
        else:
            assert action in "TFN", f"unknown action {action!r}"

    def best(self, side: str) -> tuple[int, int, int]:
        """Best price, size in lots, number of orders; ``(NO_PRICE, 0, 0)`` for an empty side."""
        levels = self.sides[side]
        if not levels:
            return NO_PRICE, 0, 0
        price = max(levels) if side == "B" else min(levels)
        return price, sum(levels[price].values()), len(levels[price])


def tops(path: Path) -> Iterator[bytes]:
    """Yield the top of the book as one packed row per record flagged last."""
    book = Book()
    bid = ask = (NO_PRICE, 0, 0)
    for record in read_mbo(path):
        action, side = str(record.action), str(record.side)
        book.apply(action, side, record.order_id, record.price, record.size)
        if not int(record.flags) & LAST:
            continue
        bid, ask = book.best("B"), book.best("A")
        yield TOP.pack(record.sequence, bid[0], bid[1] * LOT, bid[2], ask[2], ask[0], ask[1] * LOT)
