"""A configured desk: applied twice nothing changes, its log replays, a second engine is refused."""

import dataclasses
import json
import struct
from pathlib import Path

import numpy as np
import pytest

import pyoms_native
from pyoms import config
from pyoms.demo.session import forget_ring
from pyoms.errors import ClientError, DeskError, EngineError, JournalError, TapeError, VenueError
from pyoms.oms import capacities, connect, open_desk
from pyoms.tape import open_log
from pyoms_core.control import Control
from pyoms_core.layout import CODES, dtype

EXAMPLE = Path(__file__).parents[2] / "examples/desk.toml"


@pytest.fixture(scope="module")
def settings():
    found = config.load(EXAMPLE)
    engine = dataclasses.replace(
        found.engine,
        orders_max=1 << 12,
        ids_max=1 << 13,
        fills_max=1 << 12,
        accounts_max=8,
        instruments_max=8,
        venues_max=4,
        sessions_max=8,
        strategies_max=8,
    )
    journal = dataclasses.replace(found.journal, ring_mib=2, segment_mib=2)
    return dataclasses.replace(found, engine=engine, journal=journal)


@pytest.fixture
def shm(tmp_path):
    root = tmp_path / "shm"
    root.mkdir(mode=0o700)
    return root


@pytest.fixture
def opened(settings, tmp_path, shm):
    desks = []

    def make(**more):
        desks.append(open_desk(settings, tmp_path / "desk", shm_root=shm, **more))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()


def test_configuration_applied_twice_changes_nothing(opened):
    desk = opened()
    names = {entity: desk.names(entity) for entity in ("account", "instrument", "session")}
    last = desk.core.event_seq
    desk.close()
    again = opened()
    assert {entity: again.names(entity) for entity in names} == names
    kinds = [name for batch in again.events(last + 1) for name, _ in batch.runs()]
    assert set(kinds) <= {"epoch_started", "desk_state", "rate"}


def test_desk_without_its_venue_takes_no_order(opened):
    desk = opened()
    answer = desk.submit("ESH4", "buy", 1, "4800", account="MAKER", session="S1")
    assert answer.name == "recovering"
    assert not desk.is_open()
    assert desk.status()["links"][0]["state"] != "up"


def test_replay_equals_the_live_state(opened, settings, tmp_path, shm):
    desk = opened()
    for number in range(5):
        desk.submit("ESH4", "buy", number, "4800", account="MAKER", session="S1")
    live, last = desk.state_hash(), desk.core.event_seq
    desk.close()
    replay = pyoms_native.Replay(tmp_path / "desk", capacities(settings))
    assert (replay.events, replay.state_hash()) == (last, live)
    early = pyoms_native.Replay(tmp_path / "desk", capacities(settings), at_seq=3)
    assert early.event_seq == 3
    with pytest.raises(EngineError, match="a fold of a log takes no input"):
        replay.step(b"\0" * 128)
    log = open_log(tmp_path / "desk")
    views = [batch.records for batch in log.batches(4)]
    assert sum(map(len, views)) == last - 3
    del log
    assert int(views[0]["event_seq"][0]) == 4
    assert pyoms_native.verify_log(tmp_path / "desk")["damage"] is None


def test_second_engine_on_a_desk_is_refused(opened):
    opened()
    with pytest.raises(DeskError, match="another engine holds this desk"):
        opened()


def test_closed_desk_says_so(opened):
    desk = opened()
    desk.close()
    with pytest.raises(EngineError, match="the desk was closed"):
        desk.orders()


def test_kill_from_the_control_file_stops_orders(opened, tmp_path):
    desk = opened()
    control = Control(tmp_path / "desk")
    assert control.read()[0] == CODES["kill_mode"]["open"].code
    account = desk.id_of("account", "MAKER")
    control.trip("cancel_only", "account", account)
    assert control.read("account", account)[0] == CODES["kill_mode"]["cancel_only"].code
    desk.poll()
    answer = desk.submit("ESH4", "buy", 1, "4800", account="MAKER", session="S1")
    assert answer.name == "killed"
    with pytest.raises(ValueError, match="account 4000 has no word"):
        control.read("account", 4000)


def test_damaged_log_names_file_and_offset(opened, tmp_path, settings, shm):
    desk = opened()
    desk.close()
    (segment,) = sorted((tmp_path / "desk/segments").glob("*1.seg"))
    data = bytearray(segment.read_bytes())
    data[4096 + 3 * 128 + 40] ^= 1
    segment.write_bytes(data)
    with pytest.raises(JournalError, match=segment.name):
        open_log(tmp_path / "desk")


def test_half_written_header_is_refused(opened, tmp_path):
    opened().close()
    (segment,) = sorted((tmp_path / "desk/segments").glob("*1.seg"))
    data = bytearray(segment.read_bytes())
    data[:8] = b"PYOMSXXX"
    segment.write_bytes(data)
    with pytest.raises(JournalError, match="is not a segment's"):
        open_log(tmp_path / "desk")


def test_unwritable_shared_memory_is_told(settings, tmp_path):
    with pytest.raises(DeskError, match="nowhere"):
        open_desk(settings, tmp_path / "desk", shm_root=tmp_path / "nowhere")


def test_client_of_a_running_desk_gets_its_verdict_as_an_event(settings, tmp_path):
    path = tmp_path / "desk"
    desk = open_desk(settings, path)
    running = desk.start()
    try:
        with pytest.raises(EngineError, match="the desk was closed"):
            desk.orders()
        with connect(path, "S1", account="SLICER") as connection:
            seq = connection.submit("ESH4", "buy", 1, "4800")
            refused = connection.answer(seq)
            assert (refused.command_seq, refused.kind_name) == (seq, "order_refused")
            assert refused.verdict_name == "recovering"
            assert connection.quote("ESH4")["bid_px"] is None
            assert connection.order(1) is None
            assert {"net_qty", "average_px", "pnl"} <= set(connection.position("ESH4"))
            with pytest.raises(ClientError, match="not answered"):
                connection.answer(99, timeout_s=0.01)
        status = json.loads(pyoms_native.ask(path, "status"))
        assert status["ok"]
    finally:
        running.stop()
        forget_ring(path)
    with pytest.raises(ClientError):
        connect(path, "S1")


def test_foreign_and_truncated_recordings_are_told(tmp_path):
    foreign = tmp_path / "foreign.dbn"
    foreign.write_bytes(b"not a recording at all")
    with pytest.raises(TapeError, match=r"foreign\.dbn"):
        pyoms_native.load_tape(foreign, [("ESH4", 1)])
    with pytest.raises(TapeError, match="absent"):
        pyoms_native.load_tape(tmp_path / "absent", [("ESH4", 1)])
    short = tmp_path / "short.dbn"
    short.write_bytes(b"DBN\x03" + struct.pack("<I", 4000))
    with pytest.raises(TapeError, match=r"short\.dbn"):
        pyoms_native.load_tape(short, [("ESH4", 1)])


def test_tape_is_seen_without_a_copy_and_split_by_seed():
    tape = pyoms_native.synthetic(1, 1, 1)
    records = np.frombuffer(memoryview(tape), dtype=dtype("book_update"))
    assert len(records) == len(tape)
    assert not records.flags.writeable
    assert np.shares_memory(records, np.frombuffer(memoryview(tape), dtype=dtype("book_update")))
    market, flow, stats = tape.plan(7, 500)
    assert len(flow) == 40 * stats["commands"]
    assert stats["commands"] >= 500
    assert len(market) == stats["market_records"]
    assert tape.plan(7, 500)[1] == flow
    with pytest.raises(VenueError, match="nonsense"):
        pyoms_native.SimVenue('{"nonsense": 1}', market)
