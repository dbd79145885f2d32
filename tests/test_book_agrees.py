"""The L3 book in Rust and a second one in Python agree on a recorded day, record by record."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import pyoms_native
from tests.model.book import TOP, tops

ROOT = Path(__file__).resolve().parents[1]
DAY = "esh4-glbx-mdp3-20231225.mbo.dbn.zst"


@pytest.mark.interop  # the model reads the file with databento-dbn
def test_best_prices_sizes_and_counts_agree_at_every_record_flagged_last():
    data = Path(os.environ.get("PYOMS_DATA", ROOT.parent / "shared" / "data")) / DAY
    if not data.exists():
        pytest.skip(f"no recording {DAY} in ../shared/data or $PYOMS_DATA")
    rust = pyoms_native.book_tops(str(data))
    assert len(rust) == 47_022 * TOP.size
    fields = ("sequence", "bid_px", "bid_qty", "bid_count", "ask_count", "ask_px", "ask_qty")
    rows = 0
    for at, ours in enumerate(tops(data)):
        theirs = rust[at * TOP.size : (at + 1) * TOP.size]
        if ours != theirs:
            seen = dict(zip(fields, TOP.unpack(theirs), strict=True))
            expected = dict(zip(fields, TOP.unpack(ours), strict=True))
            pytest.fail(f"row {at}: the book in Rust says {seen}, the model {expected}")
        rows += 1
    assert rows * TOP.size == len(rust)
