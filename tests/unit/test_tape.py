"""The log as numpy views: no copy, read-only, alive as long as looked at; a lapped one says so."""

import gc

import numpy as np
import pytest

import pyoms_native
from pyoms.engine import Engine
from pyoms.errors import JournalError, LappedError, OmsError
from pyoms.tape import open_log
from pyoms_core.layout import KINDS, ONE
from tests.unit.test_engine import made


def submit(oms, count, first=0):
    for number in range(count):
        assert oms.submit("ESH4", "buy", 1, "4820", cl_ord_id=f"t{first + number}").code in (0, 46)


def test_batches_are_views_of_the_ring_itself():
    oms = made()
    tape = oms.events()
    ring = tape.mapping
    batch = tape.poll()
    assert np.shares_memory(batch.records, ring)
    assert np.shares_memory(batch.as_kind("order_accepted"), ring)
    start = ring.__array_interface__["data"][0]
    assert start <= batch.records.__array_interface__["data"][0] < start + ring.nbytes
    for _, view in batch.runs():
        assert np.shares_memory(view, ring)
    assert not batch.records.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        batch.records["order_seq"] = 1


def test_runs_cover_a_batch_in_order_and_of_copies_rows():
    oms = made()
    submit(oms, 3)
    batch = oms.events().poll()
    seqs = [seq for _, view in batch.runs() for seq in view["event_seq"].tolist()]
    assert seqs == list(range(1, len(batch) + 1))
    accepted = batch.of("order_accepted")
    assert accepted["cl_ord_id"].tolist() == [b"t0", b"t1", b"t2"]
    assert set(accepted["kind"].tolist()) == {KINDS["order_accepted"]}
    assert accepted["order_qty"].tolist() == [ONE] * 3


def test_view_outlives_its_engine():
    oms = made()
    records = oms.events().poll().records
    before = records.tobytes()
    del oms
    gc.collect()
    assert records.tobytes() == before


def small():
    oms = Engine(
        now_ns=1_700_000_000_000_000_000, ring_slots=256, orders_max=1 << 10, log_reserve=64
    )
    oms.define_account("A1")
    oms.define_instrument("ESH4", tick="0.25")
    oms.quote("ESH4", "4820.00", 12, "4820.25", 9)
    return oms


def test_lapped_view_and_lapped_reader_raise():
    oms = small()
    tape = oms.events()
    batch = tape.poll()
    batch.check()
    submit(oms, 300)
    with pytest.raises(LappedError) as raised:
        batch.check()
    assert raised.value.next_seq == 1
    assert raised.value.oldest_seq > 1
    assert isinstance(raised.value, OmsError)
    with pytest.raises(LappedError):
        tape.poll()
    tape.seek(tape.oldest_seq)
    assert tape.poll() is not None


def test_polling_gives_every_record_once_across_the_wrap():
    oms = small()
    tape = oms.events()
    seen = []
    for round_ in range(40):
        submit(oms, 10, first=10 * round_)
        for batch in tape:
            seen += batch.records["event_seq"].tolist()
            batch.check()
    assert seen == list(range(1, oms.core.event_seq + 1))


def test_missing_log_is_told(tmp_path):
    with pytest.raises(JournalError, match="no desk here"):
        open_log(tmp_path)
    with pytest.raises(JournalError):
        pyoms_native.Replay(tmp_path)
    with pytest.raises(JournalError):
        pyoms_native.verify_log(tmp_path / "nowhere")
