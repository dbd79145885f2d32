"""The simulated venue as a process of its own: a socket loop around `pyoms_native.SimVenue`.

Called as `pyoms venue sim` by people and by the demo. One thread: it moves bytes between a Unix
socket and the venue and decides nothing. What must stay true: all bytes read before an EOF are
handed over before the disconnect, and the witness file is written whole or not at all.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import stat
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyoms.errors import OmsError

RECORDING = "esh4-glbx-mdp3-20231225.mbo.dbn.zst"
"""The recording that is found by itself: E-mini S&P 500, trade date 2023-12-26, market by order."""

SYMBOL = "ESH4"
"""The instrument that is played; recordings that hold others are read for it alone."""

INSTRUMENT_ID = 1
"""Its number on the tape: a desk that defines it first gives it the same."""

_READ_SIZE = 1 << 18


class VenueSocketError(OmsError):
    """The venue cannot listen where it was told to."""

    code = "venue_socket"


class VenueOptionsError(OmsError):
    """Options of the venue that cannot be read."""

    code = "venue_options"


class DataError(OmsError):
    """A recording that cannot be played."""

    code = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Where a venue listens, what it tells, and when it ends.

    `witness` gets the venue's own record as JSON, on SIGUSR1 and at the end; with `stay` it goes on
    after the day is over, until a signal.
    """

    socket_path: Path
    witness: Path | None = None
    stay: bool = False


@dataclass(slots=True)
class _Loop:
    venue: Any
    serving: Serving
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    peers: dict[int, socket.socket] = field(default_factory=dict)
    next_conn: int = 1
    stop: bool = False
    wants_witness: bool = False

    def run(self, listener: socket.socket, waker: socket.socket) -> None:
        self.selector.register(listener, selectors.EVENT_READ, 0)
        self.selector.register(waker, selectors.EVENT_READ, -1)
        while not self.stop and (self.serving.stay or not self.venue.is_over()):
            now_ns = time.monotonic_ns()
            wait_s = max(self.venue.next_call_ns(now_ns) - now_ns, 0) / 1e9
            for key, _ in self.selector.select(wait_s):
                if key.data == 0:
                    self.accept(listener)
                elif key.data == -1:
                    waker.recv(64)
                else:
                    self.read(key.data)
            self.venue.advance(time.monotonic_ns())
            for conn in list(self.peers):
                self.write(conn)
            while (note := self.venue.take_note()) is not None:
                print(note, file=sys.stderr, flush=True)
            if self.wants_witness:
                self.wants_witness = False
                write_witness(self.venue, self.serving.witness)

    def accept(self, listener: socket.socket) -> None:
        peer, _ = listener.accept()
        peer.setblocking(False)
        conn, self.next_conn = self.next_conn, self.next_conn + 1
        self.peers[conn] = peer
        self.selector.register(peer, selectors.EVENT_READ, conn)
        self.venue.on_connect(conn, time.monotonic_ns())

    def read(self, conn: int) -> None:
        try:
            data = self.peers[conn].recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.venue.on_bytes(conn, data, time.monotonic_ns())
        else:
            self.drop(conn)

    def write(self, conn: int) -> None:
        peer = self.peers[conn]
        blocked = False
        while data := self.venue.unsent(conn):
            try:
                self.venue.sent(conn, peer.send(data))
            except BlockingIOError:
                blocked = True
                break
            except OSError:
                return  # the reading side tells it is gone, once all it sent is read
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if blocked else 0)
        if self.selector.get_key(peer).events != events:
            self.selector.modify(peer, events, conn)
        if self.venue.wants_close(conn) and not blocked:
            self.drop(conn)

    def drop(self, conn: int) -> None:
        peer = self.peers.pop(conn)
        self.selector.unregister(peer)
        peer.close()
        self.venue.on_disconnect(conn, time.monotonic_ns())


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueDay:
    """Which day to play: a recording, or a made one; `sample` commands' orders are taken out."""

    data: Path | None
    synthetic: bool
    seed: int
    sample: int = 0


def find_recording() -> Path | None:
    """Find the recording in ``$PYOMS_DATA``, else in ``../shared/data`` beside the project."""
    places = [Path(os.environ["PYOMS_DATA"])] if os.environ.get("PYOMS_DATA") else []
    places += [Path.cwd().parent / "shared/data"]
    places += [Path(__file__).resolve().parents[2].parent / "shared/data"]
    return next((p / RECORDING for p in places if (p / RECORDING).is_file()), None)


def load_day(day: VenueDay) -> tuple[Any, str]:
    """Load or make the tape of a day, whole; gives it with the name of its source."""
    import pyoms_native as native

    if day.data is not None and day.synthetic:
        raise DataError("--data and --synthetic exclude one another")
    found = day.data if day.data is not None or day.synthetic else find_recording()
    if found is None:
        return native.synthetic(day.seed, 1, INSTRUMENT_ID), ""
    if not found.is_file():
        raise DataError(f"{found}: {'is no regular file' if found.exists() else 'no such file'}")
    tape = native.load_tape(found, [(SYMBOL, INSTRUMENT_ID)])
    if len(tape) == 0:
        raise DataError(f"{found}: holds no market-by-order records of {SYMBOL}")
    return tape, found.name


def open_venue(day: VenueDay, options: dict[str, Any]) -> Any:
    """Make the venue of a day."""
    import pyoms_native as native

    tape, _ = load_day(day)
    market = tape.plan(day.seed, day.sample)[0] if day.sample else tape
    return native.SimVenue(json.dumps(options), market)


def read_options(path: Path | None, *, seed: int, lock_step: bool, speed: int) -> dict[str, Any]:
    """Give the venue's configuration: that of the command line, then that of the file."""
    options: dict[str, Any] = {"seed": seed, "lock_step": lock_step, "speed_up": speed}
    if path is None:
        return options
    try:
        more = json.loads(path.read_text())
    except OSError as error:
        raise VenueOptionsError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise VenueOptionsError(f"{path}: is not JSON: {error}") from None
    if not isinstance(more, dict):
        raise VenueOptionsError(f"{path}: is a {type(more).__name__}, an object is needed")
    return options | more


def write_witness(venue: Any, path: Path | None) -> None:
    """Write the venue's own record to `path`, whole or not at all; None writes nothing."""
    if path is None:
        return
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(venue.witness_json() + "\n")
    fresh.replace(path)


def listen(path: Path) -> socket.socket:
    """Listen on the Unix socket `path`, in place of a dead one; VenueSocketError if it cannot."""
    if len(os.fsencode(path)) > 107:
        raise VenueSocketError(f"socket {path} has {len(os.fsencode(path))} bytes, allowed are 107")
    try:
        if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
            raise VenueSocketError(f"socket {path} exists and is no socket")
        if path.exists():
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(os.fspath(path)) == 0:
                    raise VenueSocketError(f"socket {path}: another venue listens there")
            path.unlink()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.fspath(path))
        path.chmod(0o600)
        listener.listen(8)
    except OSError as error:
        raise VenueSocketError(f"socket {path}: {error.strerror or error}") from None
    listener.setblocking(False)
    return listener


def serve(venue: Any, serving: Serving) -> None:
    """Serve until the day is over, or until SIGTERM or SIGINT; then write the witness."""
    if serving.witness is not None and not serving.witness.parent.is_dir():
        raise VenueOptionsError(f"witness {serving.witness}: there is no such directory")
    if serving.witness is not None and serving.witness.is_dir():
        raise VenueOptionsError(f"witness {serving.witness}: is a directory, a file is needed")
    listener = listen(serving.socket_path)
    waker, wake = socket.socketpair()
    waker.setblocking(False)
    wake.setblocking(False)
    loop = _Loop(venue, serving)

    def on_signal(number: int, _frame: object) -> None:
        loop.wants_witness |= number == signal.SIGUSR1
        loop.stop |= number in (signal.SIGTERM, signal.SIGINT)

    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    signal.set_wakeup_fd(wake.fileno())
    listening = {"listening": os.fspath(serving.socket_path), "pid": os.getpid()}
    print(json.dumps(listening), flush=True)
    try:
        loop.run(listener, waker)
    finally:
        signal.set_wakeup_fd(-1)
        listener.close()
        serving.socket_path.unlink(missing_ok=True)
    write_witness(venue, serving.witness)
