"""The kill switch from a shell: engages by the control file alone (DESIGN §6), and reads it.

Called as `pyoms kill` and `python -m pyoms.kill`, while the engine hangs, the network is down or
nothing else is installed: it needs the standard library and the generated layout, nothing more.
Once it stands, a running engine is asked how far its cancels are; `--hard` ends the engine instead.
What must stay true: a kill only ever gets stricter here, it is written before anything is judged
or waited for, and a file that cannot be trusted is never reported as an open desk.

    0           4096       4160                                  next multiple of 64
    header|crc  desk word  accounts instruments venues ... words sender rows, 64 bytes each
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import fcntl
import json
import mmap
import os
import select
import signal
import socket
import stat
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pyoms.errors import OmsError
from pyoms_core.layout import (
    CODES,
    CONTROL_DESK_WORD,
    CONTROL_EPOCH_BITS,
    CONTROL_MAGIC,
    CONTROL_WORDS,
    LAYOUT_HASH,
    NAMES,
    TABLES,
    offset,
)

SCOPES = ("account", "instrument", "venue", "session", "strategy")
"""Scopes below the desk, in the order of their blocks of words."""

MODES = ("cancel_only", "halt")
"""Modes one person may engage; a higher code of ``kill_mode`` is stricter."""

WAIT_S = 1.0
"""How long an acknowledgement is waited for."""

LOCK_WAIT_S = 0.25
"""How long the file lock is waited for; a stuck holder must not stop a kill."""

FOLLOW_S = 10.0
"""How long the cancels of a kill are followed."""

_LOOK_S = 0.05
_NAMED = 20
_PLURAL = {scope: "strategies" if scope == "strategy" else f"{scope}s" for scope in SCOPES}
_EPOCH_MASK = (1 << CONTROL_EPOCH_BITS) - 1
_ROW = TABLES["control_sender"][0]
_HEADER = TABLES["control_header"][0]


class KillError(OmsError):
    """The command could not be carried out as asked; nothing was engaged."""

    code = "kill"


class DeskNotReachableError(OmsError):
    """There is no desk at this place."""

    code = "desk_not_reachable"
    exit_code = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """One process that sends, as its row tells; `answer` is one of epoch, parked, dead, silent."""

    pid: int
    start_time: int
    venue_id: int
    seen_epoch: int
    sent_seq: int
    unsent_bytes: int
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """What the control file says: the strictest reading where it cannot be trusted.

    `entities` maps a scope to ``{id: mode}`` for every word that is not open; `problem` says what
    is wrong with the file and is empty where nothing is.
    """

    mode: str
    epoch: int
    entities: dict[str, dict[int, str]]
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a hard stop did to the engine that holds the desk's lock.

    `covered` are the venues that had said that they cancel our orders when their session drops,
    `not_covered` the others: what is open there stays open until somebody cancels it there.
    """

    pid: int
    ended: bool
    told: str
    covered: tuple[str, ...] = ()
    not_covered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancels:
    """How far the cancels of a kill are, by the engine's word; `zero_open` is the venues' own.

    `in_flight` are orders with a message that was handed over and has no answer, when the kill was
    acknowledged; `not_covered` are orders that no cancel on disconnect ends. `told` says what is
    wrong and is empty where nothing is.
    """

    sent: int
    confirmed: int
    left_open: int
    unknown_open: int
    zero_open: bool
    in_flight: tuple[int, ...]
    not_covered: tuple[int, ...]
    told: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engaged:
    """What a kill did. `acknowledged` holds when every sender answered; `ack_us` is how soon."""

    scope: str
    target: str
    mode: str
    epoch: int
    acknowledged: bool
    ack_us: int | None
    durable: bool
    senders: tuple[Sender, ...]
    notes: tuple[str, ...] = ()
    already: bool = False
    hard: Ended | None = None


def desk_dir(given: str | os.PathLike[str] | None = None) -> Path:
    """Return the desk directory: `given`, else ``$PYOMS_DESK``, else the user's default."""
    chosen = os.fspath(given) if given else os.environ.get("PYOMS_DESK", "")
    return Path(chosen) if chosen else Path.home() / ".local/state/pyoms/default"


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of `data`."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _log_id(path: Path) -> int:
    """Id of the desk's log: the first half of the desk's id; 0, which no log has, where unknown."""
    try:
        return int(path.read_text("ascii").strip()[:16], 16)
    except (OSError, ValueError):
        return 0


class UntrustedFileError(OmsError):
    """The control file is missing, short, noisy or wrongly owned: the desk counts as killed."""

    code = "control_file"
    exit_code = 1


def _control(field: str, data: bytes) -> int:
    formats = {name: kind for name, kind, _ in TABLES["control_header"][1]}
    code = {"<u4": "<I", "<u8": "<Q"}[formats[field]]
    return int(struct.unpack_from(code, data, offset("control_header", field))[0])


class ControlFile:
    """The mapped control file. Words are single aligned 8-byte stores, as the senders read them.

    Opening checks owner, mode, type and header, and follows no link; UntrustedFileError tells what
    is wrong. Keep it open no longer than one command: it holds no lock by itself.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self.path = path
        flags = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a fifo in its place holds nobody up
        flags |= os.O_RDWR if write else os.O_RDONLY
        try:
            self.handle = os.open(path, flags)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise KillError(f"{path}: {error.strerror}; nothing was engaged") from None
            if error.errno == errno.ELOOP:
                raise UntrustedFileError(f"{path} is a link") from None
            raise UntrustedFileError(f"{path}: {error.strerror}") from None
        try:
            self._check_status(os.fstat(self.handle))
            header = os.pread(self.handle, _HEADER, 0)
            self.counts = self._check_header(header)
            self.size = self._check_size(header)
            access = mmap.ACCESS_WRITE if write else mmap.ACCESS_READ
            self.map = mmap.mmap(self.handle, self.size, access=access)
        except BaseException:
            os.close(self.handle)
            raise
        self.words = memoryview(self.map).cast("Q")

    def _check_status(self, status: os.stat_result) -> None:
        owner, mode = self.path.parent.stat().st_uid, stat.S_IMODE(status.st_mode)
        problems = (
            (not stat.S_ISREG(status.st_mode), "is no regular file"),
            (status.st_uid != owner, f"belongs to user {status.st_uid}, the desk to {owner}"),
            (mode not in (0o640, 0o600), f"has mode {mode:04o}, allowed are 0640 and 0600"),
            (status.st_nlink != 1, f"has {status.st_nlink} names"),
        )
        for wrong, what in problems:
            if wrong:
                raise UntrustedFileError(f"{self.path} {what}")

    def _check_header(self, header: bytes) -> dict[str, int]:
        if len(header) < _HEADER or _control("magic", header) != CONTROL_MAGIC:
            raise UntrustedFileError(f"{self.path} is no control file")
        if _control("crc32c", header) != crc32c(header[: offset("control_header", "crc32c")]):
            raise UntrustedFileError(f"{self.path} has a damaged header")
        layout = _control("layout_hash", header)
        if layout != LAYOUT_HASH:
            raise UntrustedFileError(
                f"{self.path} is of layout {layout:#018x}, this program has {LAYOUT_HASH:#018x}"
            )
        log_id = _log_id(self.path.with_name("desk_id"))
        if _control("log_id", header) != log_id:
            raise UntrustedFileError(
                f"{self.path} belongs to log {_control('log_id', header):#018x}, not {log_id:#018x}"
            )
        return {scope: _control(f"{_PLURAL[scope]}_max", header) for scope in SCOPES}

    def _check_size(self, header: bytes) -> int:
        words_end = CONTROL_WORDS + 8 * sum(self.counts.values())
        self.rows_at = -(-words_end // 64) * 64
        self.rows = _control("senders_max", header)
        size, found = self.rows_at + _ROW * self.rows, os.fstat(self.handle).st_size
        if found != size:
            raise UntrustedFileError(f"{self.path} has {found} bytes, {size} are expected")
        if any(os.pread(self.handle, CONTROL_DESK_WORD - _HEADER, _HEADER)):
            raise UntrustedFileError(f"{self.path} has noise between header and words")
        return size

    def close(self) -> None:
        """Give the mapping and the file back."""
        self.words.release()
        self.map.close()
        os.close(self.handle)

    def index(self, scope: str, entity_id: int) -> int:
        """Index of an entity's word; KillError when the file has no such word."""
        if scope == "desk":
            return CONTROL_DESK_WORD // 8
        most = self.counts[scope]
        if not 1 <= entity_id <= most:
            raise KillError(f"{scope} #{entity_id} is out of range: this desk has #1 to #{most}")
        before = sum(self.counts[s] for s in SCOPES[: SCOPES.index(scope)])
        return CONTROL_WORDS // 8 + before + entity_id - 1

    def all_words(self) -> tuple[int, list[int]]:
        """Give the desk word and all entity words as of one desk epoch."""
        first, count = CONTROL_WORDS // 8, sum(self.counts.values())
        for _ in range(64):  # a killer at work between two looks is seen at the next one
            desk = self.words[CONTROL_DESK_WORD // 8]
            words = self.words[first : first + count].tolist()
            if desk == self.words[CONTROL_DESK_WORD // 8]:
                break
        return desk, words

    @contextlib.contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the file lock; yields False when another holds it past :data:`LOCK_WAIT_S`."""
        end = time.monotonic() + LOCK_WAIT_S
        got = False
        while not got:
            try:
                fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                got = True
            except OSError:
                if time.monotonic() >= end:
                    break
                time.sleep(0.001)
        try:
            yield got
        finally:
            if got:
                fcntl.flock(self.handle, fcntl.LOCK_UN)

    def tighten(self, scope: str, entity_id: int, mode: int) -> tuple[int, int]:
        """Write the entity word, then the desk word with the next epoch; return mode and epoch.

        A word that is stricter already keeps its mode.
        """
        desk = CONTROL_DESK_WORD // 8
        word = self.words[desk]
        epoch = (word & _EPOCH_MASK) + 1 & _EPOCH_MASK
        if scope == "desk":
            mode = max(mode, _mode(word))
            self.words[desk] = mode << CONTROL_EPOCH_BITS | epoch
            return mode, epoch
        at = self.index(scope, entity_id)
        mode = max(mode, _mode(self.words[at]))
        self.words[at] = mode << CONTROL_EPOCH_BITS | epoch
        self.words[desk] = _mode(word) << CONTROL_EPOCH_BITS | epoch
        return mode, epoch

    def stands(self, scope: str, entity_id: int, mode: int, epoch: int) -> bool:
        """Whether what :meth:`tighten` wrote is still there, or something stricter."""
        desk, word = self.words[CONTROL_DESK_WORD // 8], self.words[self.index(scope, entity_id)]
        return desk & _EPOCH_MASK >= epoch and _mode(word) >= mode

    def sync_behind(self) -> threading.Event:
        """Make the words survive a power loss, on a thread of its own; the event says when.

        A disk that hangs must not hold up a kill, so nobody waits for it without a bound.
        """
        done, handle = threading.Event(), os.dup(self.handle)

        def sync() -> None:
            with contextlib.suppress(OSError):
                os.fsync(handle)  # covers pages written through the mapping too
                done.set()
            os.close(handle)

        threading.Thread(target=sync, daemon=True).start()
        return done

    def senders(self, epoch: int) -> tuple[Sender, ...]:
        """Every row in use, judged against `epoch`."""
        found = []
        for at in range(self.rows_at // 8, self.rows_at // 8 + self.rows * _ROW // 8, _ROW // 8):
            pid, state = self.words[at] & 0xFFFFFFFF, self.words[at] >> 32
            if pid == 0 or state == 0:
                continue
            seen = self.words[at + 2]
            if start_time_of(pid) != self.words[at + 1]:  # whatever its row still says
                answer = "dead"
            elif seen >= epoch:
                answer = "epoch"
            else:
                answer = "parked" if state == 2 else "silent"
            found.append(
                Sender(
                    pid=pid,
                    start_time=self.words[at + 1],
                    venue_id=self.words[at + 5] & 0xFFFFFFFF,
                    seen_epoch=seen,
                    sent_seq=self.words[at + 3],
                    unsent_bytes=self.words[at + 4],
                    answer=answer,
                )
            )
        return tuple(found)


def start_time_of(pid: int) -> int:
    """Start time of a process in clock ticks since boot; 0 when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def lock_holder(desk: Path) -> tuple[int, int] | None:
    """Process that holds the desk's lock and its start time; zeros when it does not tell.

    None when no engine runs: the lock itself counts, not what is written into it.
    """
    try:
        handle = os.open(desk / "lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        words = os.pread(handle, 64, 0).split()
        known = len(words) == 2 and all(word.isdigit() and len(word) < 20 for word in words)
        return (int(words[0]), int(words[1])) if known else (0, 0)
    finally:
        os.close(handle)
    return None


def engine_pid(desk: Path) -> int | None:
    """Process that holds the desk's lock; 0 when it does not tell, None when no engine runs."""
    holder = lock_holder(desk)
    return None if holder is None else holder[0]


def end_engine(desk: Path, wait_s: float = WAIT_S) -> Ended:
    """End the process that holds the desk's lock, if it is still the one that took it.

    Its sessions drop with it. Nothing is asked of it: it may hang, or be stopped.
    """
    holder = lock_holder(desk)
    if holder is None:
        return Ended(pid=0, ended=False, told="no engine holds the desk's lock: none to end")
    pid, start_time = holder
    if pid == 0:
        told = f"{desk / 'lock'} does not tell whose it is: find the process and kill -9 it"
        return Ended(pid=0, ended=False, told=told)
    covered, others = _venues(desk)
    try:
        handle = os.pidfd_open(pid)
        try:
            if start_time_of(pid) != start_time:
                told = (
                    f"process {pid} is not the one that took the lock: it began at "
                    f"{start_time_of(pid)}, the lock says {start_time}; it was left alone"
                )
                return Ended(pid=pid, ended=False, told=told)
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            gone = bool(select.select([handle], [], [], wait_s)[0])
        finally:
            os.close(handle)
    except OSError as error:
        return Ended(pid=pid, ended=False, told=f"process {pid}: {error.strerror}")
    told = f"process {pid} was ended" if gone else f"process {pid} got SIGKILL and is not gone yet"
    return Ended(pid=pid, ended=gone, told=told, covered=covered, not_covered=others)


def _venues(desk: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Venues that said they cancel on disconnect, and all others, by the desk's ``names.json``."""
    try:
        names = json.loads((desk / "names.json").read_bytes())
        said = {name for name in names.get("cancels_on_disconnect", ()) if type(name) is str}
        known = sorted(names["venue"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return (), ("all: names.json does not tell",)
    return tuple(n for n in known if n in said), tuple(n for n in known if n not in said)


def ask_status(desk: Path, wait_s: float) -> dict[str, Any] | None:
    """Ask the running engine for its status; None where none answers within `wait_s`."""
    end = time.monotonic() + wait_s
    try:
        handle = os.open(desk, os.O_PATH | os.O_CLOEXEC)  # a long path does not fit an address
    except OSError:
        return None
    try:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(wait_s)
            peer.connect(f"/proc/self/fd/{handle}/control.sock")
            peer.sendall(b"status\n")
            data = b""
            while not data.endswith(b"\n"):
                peer.settimeout(max(end - time.monotonic(), 0.001))
                more = peer.recv(1 << 16)
                if not more:
                    return None
                data += more
        answer = json.loads(data)
    except (OSError, ValueError):
        return None
    finally:
        os.close(handle)
    return answer if isinstance(answer, dict) else None


def follow(
    desk: Path,
    timeout_s: float,
    tell: Callable[[Cancels], None] = lambda _: None,
) -> Cancels | None:
    """Follow the cancels of a kill until every venue has said that nothing is open.

    Tells each change; None where no engine runs. The first look lists what is in flight.
    """
    if lock_holder(desk) is None:
        return None
    end, first, last = time.monotonic() + timeout_s, None, None
    while True:
        status = ask_status(desk, max(min(end - time.monotonic(), WAIT_S), 0.05))
        kill = status.get("kill") if status else None
        if status is None or not isinstance(kill, dict):
            told = "the engine does not answer: its cancels are not counted (--hard ends it)"
            if status is not None:
                told = "the engine knows of no kill: it was released meanwhile"
            last = last or Cancels(
                sent=0,
                confirmed=0,
                left_open=0,
                unknown_open=0,
                zero_open=False,
                in_flight=(),
                not_covered=(),
            )
            return dataclasses.replace(last, zero_open=False, told=told)
        if first is None:
            first = tuple(kill["in_flight"])
        now = Cancels(
            sent=kill["cancels_sent"],
            confirmed=kill["cancels_confirmed"],
            left_open=kill["left_open"],
            unknown_open=kill["unknown_open"],
            zero_open=kill["confirmed"],
            in_flight=first,
            not_covered=tuple(status.get("not_covered", ())),
        )
        if now != last:
            tell(now)
        last = now
        if now.zero_open:
            return now
        if time.monotonic() >= end:
            return dataclasses.replace(now, told=f"not confirmed within {timeout_s:g} s")
        time.sleep(_LOOK_S)


def _existing(desk: Path) -> Path:
    if not desk.is_dir():
        raise DeskNotReachableError(f"{desk} is no desk directory")
    if not (desk / "control").is_symlink() and not (desk / "control").exists():
        if not (desk / "desk_id").exists():
            raise DeskNotReachableError(f"{desk} holds no desk")
        raise UntrustedFileError(f"{desk / 'control'} is missing")
    return desk / "control"


def read(desk: Path) -> Switch:
    """Read the kill switch; a file that cannot be trusted reads as halted, with the problem."""
    try:
        control = ControlFile(_existing(desk), write=False)
    except UntrustedFileError as error:
        return Switch(mode="halt", epoch=0, entities={}, problem=str(error))
    try:
        desk_word, words = control.all_words()
        entities: dict[str, dict[int, str]] = {}
        ids = ((scope, i + 1) for scope in SCOPES for i in range(control.counts[scope]))
        noise = ""
        for (scope, number), word in zip([("desk", 0), *ids], [desk_word, *words], strict=True):
            if not word and number:
                continue
            known = word >> CONTROL_EPOCH_BITS in NAMES["kill_mode"]
            if not known or not 0 < desk_word & _EPOCH_MASK >= word & _EPOCH_MASK:
                noise = f"the word of {scope} #{number} is noise: {word:#018x}"
            if number and _mode(word):
                entities.setdefault(scope, {})[number] = _mode_name(_mode(word))
        mode = "halt" if noise else _mode_name(_mode(desk_word))
        epoch = desk_word & _EPOCH_MASK
        return Switch(mode=mode, epoch=epoch, entities=entities, problem=noise)
    finally:
        control.close()


def _mode(word: int) -> int:
    """Mode of a word; a number that is no mode is the strictest."""
    mode = word >> CONTROL_EPOCH_BITS
    return mode if mode in NAMES["kill_mode"] else CODES["kill_mode"]["halt"].code


def _mode_name(mode: int) -> str:
    return NAMES["kill_mode"][mode]


def resolve(desk: Path, scope: str, target: str) -> int:
    """Return the number of an entity: ``#7`` as it is, a name through the desk's ``names.json``."""
    if target.startswith("#"):
        digits = target[1:]
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 9:
            raise KillError(f"{target!r} is not a number such as #7")
        return int(digits)
    path = desk / "names.json"
    try:
        names = json.loads(path.read_bytes())[scope]
        number = names.get(target)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KillError(
            f"{path} does not tell the number of {scope} {target!r} ({error.__class__.__name__}); "
            f"give its number as #7"
        ) from None
    if type(number) is not int:  # true and false are no numbers
        import difflib

        near = difflib.get_close_matches(target, names, 3) or sorted(names)[:8]
        raise KillError(
            f"{scope} {target!r} is not defined; defined are {', '.join(near) or 'none'}"
        )
    return number


def _target(desk: Path, scope: str, target: str) -> int:
    try:
        return resolve(desk, scope, target)
    except KillError as error:
        told = "nothing was engaged: another name or #7, or kill the whole desk"
        raise KillError(f"{error}; {told}") from None


def engage(
    desk: Path,
    scope: str = "desk",
    target: str = "",
    mode: str = "cancel_only",
    *,
    wait_s: float = WAIT_S,
    hard: bool = False,
) -> Engaged:
    """Engage the kill switch and wait for every sender.

    Parameters
    ----------
    desk : Path
        The desk directory.
    scope, target : str
        ``desk`` and nothing, or one of :data:`SCOPES` and a name or ``#number``.
    mode : str
        One of :data:`MODES`; a stricter mode in force stays.
    wait_s : float
        Bound of the wait for acknowledgements.
    hard : bool
        End the engine that holds the desk's lock at once, and then every sender that has not
        answered in time.

    Raises
    ------
    DeskNotReachableError
        There is no desk directory, or it holds no desk.
    UntrustedFileError
        The file is wrong and an engine runs that cannot be reached through it.
    KillError
        The target is unknown; nothing was engaged.
    """
    try:
        control = ControlFile(_existing(desk), write=True)
    except UntrustedFileError as error:
        return _killed_already(desk, scope, target, error, hard=hard)
    try:
        entity_id = 0 if scope == "desk" else _target(desk, scope, target)
        notes = []
        with control.locked() as got:
            before = time.perf_counter_ns()
            code, epoch = control.tighten(scope, entity_id, CODES["kill_mode"][mode].code)
        if not got:
            notes.append(f"another held the file lock for {LOCK_WAIT_S} s: written without it")
        # Starting the thread takes locks: that is the fence between our store and the first look at
        # a row; it pairs with the sender, which sets `parked` and then reads the desk word again.
        durable = control.sync_behind()
        ended = end_engine(desk, wait_s) if hard else None
        senders = _wait(control, epoch, wait_s)
        if hard and any(sender.answer == "silent" for sender in senders):
            notes += [_end_process(s) for s in senders if s.answer == "silent"]
            senders = _wait(control, epoch, wait_s)
        after = time.perf_counter_ns()
        acknowledged = all(sender.answer != "silent" for sender in senders)
        if not control.stands(scope, entity_id, code, epoch):
            acknowledged = False
            notes.append("another writer took it back meanwhile: engage again")
        if not durable.wait(wait_s):
            notes.append("the disk has not confirmed the file: it may not survive a power loss")
        return Engaged(
            scope=scope,
            target=target,
            mode=_mode_name(code),
            epoch=epoch,
            acknowledged=acknowledged,
            ack_us=(after - before) // 1_000 if acknowledged else None,
            durable=durable.is_set(),
            senders=senders,
            notes=tuple(notes),
            hard=ended,
        )
    finally:
        control.close()


def _wait(control: ControlFile, epoch: int, wait_s: float) -> tuple[Sender, ...]:
    """Poll the rows until nobody is silent or the time is up: first spinning, then in naps."""
    start = time.monotonic()
    while True:
        senders = control.senders(epoch)
        waited = time.monotonic() - start
        if waited >= wait_s or all(sender.answer != "silent" for sender in senders):
            return senders
        if waited > 0.002:
            time.sleep(0.0002)


def _end_process(sender: Sender) -> str:
    """Send SIGKILL to exactly the process of the row, not to another with its number."""
    try:
        handle = os.pidfd_open(sender.pid)
        try:
            if start_time_of(sender.pid) == sender.start_time:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                return f"process {sender.pid} did not answer and was killed"
        finally:
            os.close(handle)
    except OSError as error:
        return f"process {sender.pid} did not answer and could not be killed: {error.strerror}"
    return f"process {sender.pid} is gone"


def _killed_already(desk: Path, scope: str, target: str, error: OmsError, *, hard: bool) -> Engaged:
    """Say that a desk is killed by its bad file; raise where an engine runs and cannot be told."""
    ended = end_engine(desk) if hard else None
    pid = engine_pid(desk)
    if pid is not None:
        raise UntrustedFileError(
            f"{error}; a desk that starts on it is killed, but process {pid or 'unknown'} runs on "
            f"this desk and cannot be told through the file: end it (pyoms kill --hard, or "
            f"kill -9 {pid or 'PID'})"
        ) from None
    return Engaged(
        scope=scope,
        target=target,
        mode="halt",
        epoch=0,
        acknowledged=True,
        ack_us=None,
        durable=True,
        senders=(),
        notes=(f"{error}: the desk is killed already, and no engine runs on it",),
        already=True,
        hard=ended,
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise KillError(f"{message}; nothing was engaged")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is out of range: 0 to 86400 seconds")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="pyoms kill",
        allow_abbrev=False,
        description="Engage the kill switch: the whole desk or one scope. Needs no running engine; "
        "a release does, and two people. Exit code 0: every sender acknowledged; 1: engaged, and "
        "somebody did not answer; 2: bad input, nothing engaged; 3: no desk there.",
    )
    group = parser.add_mutually_exclusive_group()
    for scope in SCOPES:
        group.add_argument(f"--{scope}", metavar="NAME", help=f"this {scope} alone; #7 is a number")
    parser.add_argument("--mode", choices=MODES, default="cancel_only", help="default: cancel_only")
    parser.add_argument(
        "--hard", action="store_true", help="end the engine at once: its sessions drop"
    )
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=_seconds,
        default=FOLLOW_S,
        help="seconds to follow the cancels for, default 10; 0: do not",
    )
    parser.add_argument("--show", action="store_true", help="only read the switch")
    parser.add_argument("--desk", metavar="DIR", help="desk directory; else $PYOMS_DESK")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in args
    try:
        given = _parser().parse_args(args)
        if given.desk == "":
            raise KillError("--desk is empty, name a directory; nothing was engaged")
        desk = desk_dir(given.desk)
        if given.show:
            return _tell_switch(read(desk), as_json)
        scopes = [scope for scope in SCOPES if getattr(given, scope) is not None]
        scope = scopes[0] if scopes else "desk"
        target = getattr(given, scope) if scopes else ""
        engaged = engage(desk, scope, target, given.mode, hard=given.hard)
        return _tell_all(desk, engaged, given.timeout, as_json=as_json)
    except OmsError as error:
        if as_json:
            print(json.dumps({"error": {"code": error.code, "message": str(error)}}))
        else:
            print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except SystemExit:  # --help
        return 0


def _tell_switch(switch: Switch, as_json: bool) -> int:
    if as_json:
        print(json.dumps(dataclasses.asdict(switch)))
        return 0
    print(f"desk: {switch.mode}, epoch {switch.epoch}")
    if switch.problem:
        print(f"{switch.problem}: a desk that starts on it is killed")
    for scope, modes in switch.entities.items():
        for number, mode in modes.items():
            print(f"{scope} #{number}: {mode}")
    return 0


def _tell_all(desk: Path, engaged: Engaged, timeout_s: float, *, as_json: bool) -> int:
    """Tell the acknowledgement at once, then the cancels as they are confirmed."""
    code = 0 if engaged.acknowledged and (engaged.hard is None or engaged.hard.ended) else 1
    if not as_json:
        _tell(engaged)
        sys.stdout.flush()
    cancels = None
    if timeout_s and engaged.hard is None and not engaged.already:
        shown = [False]  # what is in flight is told once

        def tell(now: Cancels) -> None:
            if not shown[0]:
                shown[0] = True
                print(_in_flight(now.in_flight))
            print(_progress(now), flush=True)

        cancels = follow(desk, timeout_s, (lambda _: None) if as_json else tell)
    if cancels is not None and not cancels.zero_open:
        code = 1
    if as_json:
        told = dataclasses.asdict(engaged)
        told["cancels"] = None if cancels is None else dataclasses.asdict(cancels)
        print(json.dumps({"engaged": True, **told}))
    elif cancels is not None:
        if cancels.told:
            print(cancels.told)
        if cancels.not_covered:
            print(f"not ended by cancel on disconnect: orders {_some(cancels.not_covered)}")
    return code


def _some(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return ", ".join(str(number) for number in numbers[:_NAMED]) + more


def _in_flight(orders: Sequence[int]) -> str:
    return f"{len(orders)} in flight" + (f": orders {_some(orders)}" if orders else "")


def _progress(now: Cancels) -> str:
    unknown = f", {now.unknown_open} of them unknown here" if now.unknown_open else ""
    proved = ": every venue has confirmed it" if now.zero_open else ""
    return (
        f"{now.sent} cancels sent, {now.confirmed} orders ended, {now.left_open} open{unknown}"
        f"{proved}"
    )


def _tell(engaged: Engaged) -> None:
    what = f"{engaged.scope} {engaged.target}".strip()
    silent = [sender for sender in engaged.senders if sender.answer == "silent"]
    if not engaged.already:
        print(f"engaged: {what}, {engaged.mode}, epoch {engaged.epoch}")
        alive = {sender.pid for sender in engaged.senders if sender.answer != "dead"}
        if engaged.acknowledged and alive:
            many = f"{len(alive)} process{'es' if len(alive) > 1 else ''}"
            print(f"acknowledged by {many} after {engaged.ack_us} us")
        elif engaged.acknowledged:
            print("no sender runs on this desk")
        elif silent:
            named = ", ".join(f"process {sender.pid}" for sender in silent)
            print(f"NOT acknowledged by {named}")
    for sender in engaged.senders:
        print(
            f"  process {sender.pid}: {sender.answer}, {sender.sent_seq} order messages handed "
            f"over, {sender.unsent_bytes} bytes unsent"
        )
    for note in engaged.notes:
        print(note)
    if engaged.hard is not None:
        print(engaged.hard.told)
        if engaged.hard.covered:
            print(f"cancel on disconnect acts at {', '.join(engaged.hard.covered)}")
        if engaged.hard.not_covered:
            print(f"NOT at {', '.join(engaged.hard.not_covered)}: cancel there by other means")


if __name__ == "__main__":
    sys.exit(main())
