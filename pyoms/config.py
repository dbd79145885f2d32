"""The desk's configuration: TOML in, frozen dataclasses out, every reference and bound checked.

Called by `pyoms run`, `pyoms demo` and `pyoms config check`; read once, then shared by any thread.
What must stay true: an unknown key is an error, prices and quantities are decimal strings or
integers and never floats, a limit that is not written down is not "no limit", and every error
names file, line, key, value and what is allowed. Standard library and generated layout alone.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import hashlib
import json
import re
import tomllib
import types
import zoneinfo
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

from pyoms.errors import ConfigError, NumberError
from pyoms.numbers import to_fixed
from pyoms.schedule import (
    DAY_S,
    PHASE_KEYS,
    WEEKDAYS,
    Schedule,
    Session,
    early_problem,
    problem,
)
from pyoms_core.layout import (
    ACCOUNT_HEDGING,
    CODES,
    FLAG_BAND_PPM,
    FLAG_BY_LAST,
    FLAG_BY_SET,
    FLAG_LOCKED_FINE,
    FLAG_MARK_SHORT,
    FLAG_NEGATIVE_PRICES,
    FLAG_NO_BAND,
    FLAG_NO_MARKET,
    FLAG_RESTRICTED,
    FLAG_UNIT_MARGIN,
    VENUE_OVERFILL_STOPS,
)

UNLIMITED = 2**63 - 1
"""A limit row's value for "no limit"; written as ``"unlimited"``."""

ROLES = ("viewer", "trader", "risk", "admin", "auditor")
"""Roles of the people of a desk."""

TIERS = ("memory", "process", "disk")
"""Durability tiers a desk may choose, weakest first."""

LIMIT_FIELDS: dict[str, tuple[str, ...]] = {
    "account": (
        "orders_max",
        "window_ms",
        "order_qty_max",
        "order_notional_max",
        "gross_notional_max",
        "net_notional_max",
    ),
    "account_instrument": (
        "order_qty_max",
        "order_notional_max",
        "net_qty_max",
        "gross_notional_max",
    ),
    "instrument": ("order_qty_max",),
    "session": ("orders_max", "window_ms"),
    "strategy": ("orders_max", "window_ms"),
    "trader": ("order_qty_max",),
    "sector": ("gross_notional_max", "net_notional_max"),
    "desk": ("gross_notional_max", "net_notional_max"),
}
"""What a limit row of each scope must state."""

LIMIT_EXTRAS: dict[str, tuple[str, ...]] = {
    "account": (
        "minute_orders_max",
        "burst",
        "day_notional_max",
        "margin_max",
        "concentration_bp_max",
        "repeat_window_ms",
    ),
    "instrument": ("orders_max", "window_ms", "gross_notional_max", "net_notional_max"),
    "session": ("minute_orders_max", "burst"),
    "desk": ("day_notional_max", "margin_max", "repeat_window_ms"),
}
"""What a limit row of a scope may state besides; what it does not say is not limited."""

LIMIT_BOUNDS = {"burst": 10, "repeat_window_ms": 60_000, "concentration_bp_max": 10_000}
"""Largest values of what is neither a count of orders nor an amount."""

CLASS_FIELDS = (
    *("band", "band_unit", "band_check", "reference", "reference_age_ms_max"),
    *("locked_is_reference", "negative_prices", "margin", "margin_unit"),
    *("market_orders", "mark_short", "sector"),
)
"""What a class of instruments may say for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskConfig:
    """``[desk]``: its name, its currency and the rates into it (1e-9 desk units per unit)."""

    name: str
    currency: str
    rates: Mapping[str, int]
    rate_age_s_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """``[engine]``: capacities, fixed for the life of a process, and how its thread runs.

    The `*_max` of names count names; the engine's tables have one row more, for number 0.
    """

    orders_max: int
    ids_max: int
    fills_max: int
    fill_days: int
    accounts_max: int
    instruments_max: int
    venues_max: int
    sessions_max: int
    strategies_max: int
    traders_max: int
    currencies_max: int
    sectors_max: int
    hedging_max: int
    throttle_orders_max: int
    log_reserve: int
    books_max: int
    book_orders_max: int
    book_levels_max: int
    id_ttl_s: int
    peg_interval_ms: int
    peg_ticks: int
    cpu: int | None
    spin: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalConfig:
    """``[journal]``: durability tier and sizes of the ring and of a segment."""

    tier: str
    ring_mib: int
    segment_mib: int
    cpu: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person of ``[people]``; `uid` binds the name to a user of the machine."""

    name: str
    roles: tuple[str, ...]
    uid: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentConfig:
    """``[[instrument]]``: what ``definition`` and ``instrument_terms`` hold; numbers at 1e-9.

    `band` is parts per million of the reference where `band_unit` is ``"ppm"``, else a price
    distance at 1e-9. The `reference` is best bid and offer (``"quote"``), the ``"last"`` trade or
    a price ``"set"`` here, `reference_price`. `margin` is what a position asks for: parts per
    million of its notional where `margin_unit` is ``"ppm"`` (Reg T: 500_000), else currency a
    unit at 1e-9. With `mark_short` a sell beyond what is held must be marked as a short sale. A
    `class_name` lends what the instrument itself does not say, see ``[[class]]``.
    """

    name: str
    venue: str
    currency: str
    tick: int
    lot: int
    qty_min: int
    qty_max: int
    contract_multiplier: int
    band: int
    band_unit: str
    reference_age_ms_max: int
    restricted: bool
    negative_prices: bool
    band_check: bool
    locked_is_reference: bool
    class_name: str
    sector: str
    reference: str
    reference_price: int
    margin: int
    margin_unit: str
    market_orders: bool
    mark_short: bool

    @property
    def flags(self) -> int:
        """Flags of ``instrument_terms``."""
        return (
            FLAG_RESTRICTED * self.restricted
            | FLAG_BAND_PPM * (self.band_unit == "ppm")
            | FLAG_NEGATIVE_PRICES * self.negative_prices
            | FLAG_NO_BAND * (not self.band_check)
            | FLAG_LOCKED_FINE * self.locked_is_reference
            | FLAG_NO_MARKET * (not self.market_orders)
            | FLAG_BY_LAST * (self.reference == "last")
            | FLAG_BY_SET * (self.reference == "set")
            | FLAG_UNIT_MARGIN * (self.margin_unit == "price")
            | FLAG_MARK_SHORT * self.mark_short
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfig:
    """``[[account]]``: a node of the account tree; `parent` is empty at the top."""

    name: str
    parent: str
    level: str
    currency: str
    position_mode: str = "net"

    @property
    def level_code(self) -> int:
        """Code of `level` for the definition record."""
        return CODES["account_level"][self.level].code

    @property
    def flags(self) -> int:
        """Flags of the definition record."""
        return ACCOUNT_HEDGING * CODES["position_mode"][self.position_mode].code


@dataclass(frozen=True, slots=True, kw_only=True)
class TraderConfig:
    """``[[trader]]``: a person or desk that orders name; limits may bind it."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitConfig:
    """``[[limit]]``: one row of limits. Quantities at 1e-9, notionals in whole desk units.

    Fields that the scope does not use are :data:`UNLIMITED`, or 0 where 0 is "none": throttles,
    bursts, windows, `day_notional_max`, `margin_max` and `concentration_bp_max`. An account above
    others bounds the sum of all below it. `entity` is the session, strategy, trader or sector.
    """

    scope: str
    account: str
    instrument: str
    entity: str
    orders_max: int
    window_ms: int
    order_qty_max: int
    order_notional_max: int
    net_qty_max: int
    gross_notional_max: int
    net_notional_max: int
    day_notional_max: int
    margin_max: int
    minute_orders_max: int
    burst: int
    repeat_window_ms: int
    concentration_bp_max: int

    @property
    def scope_code(self) -> int:
        """Code of `scope` for the limit row."""
        return CODES["scope"][self.scope].code


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueConfig:
    """``[[venue]]``: its replaces, what is believed of it, the socket of its link, and its days.

    `socket` is the path of the Unix socket the venue listens on, relative to the desk directory;
    empty for a venue that runs in this process. Without a `schedule` its days and phases are what
    it tells itself. `unknown_orders` says what becomes of orders found there and unknown here:
    ``"flag"`` tells of them, ``"adopt"`` makes them orders of `adopt_account`. An overfill is
    booked and told of; with `overfill` ``"stop"`` the kill switch is engaged for the venue besides.
    With `exec_id_versions` two digits behind the last dot of its ExecID(17) tell a correction from
    the execution that it corrects.
    A message to it that has had no answer for `answer_s_max` seconds is asked about; 0: never.
    Of the desk's own cancels it gets `cancels_per_s_max` a second, 0: as many as there are, and
    with `mass_cancel` a kill sends it a mass cancel before them. A kill that it has not confirmed
    after `kill_confirm_ms_max` drops its session, so that its cancel on disconnect acts; 0: never.
    """

    name: str
    socket: str
    replace_rule: str
    queue_rule: str
    replenishes_icebergs: bool
    exec_id_versions: bool
    cancel_on_disconnect: bool
    cancels_per_s_max: int
    zone: str
    schedule: Schedule | None = None
    unknown_orders: str = "flag"
    adopt_account: str = ""
    overfill: str = "alarm"
    answer_s_max: int = 5
    mass_cancel: bool = False
    kill_confirm_ms_max: int = 10_000

    @property
    def flags(self) -> int:
        """Flags of the definition record."""
        stops = VENUE_OVERFILL_STOPS * (self.overfill == "stop")
        return int(self.cancel_on_disconnect) | stops

    @property
    def queue_rule_code(self) -> int:
        """Code of `queue_rule` for the definition record."""
        return CODES["queue_rule"][self.queue_rule].code

    @property
    def replace_rule_code(self) -> int:
        """Code of `replace_rule` for the definition record."""
        return CODES["replace_rule"][self.replace_rule].code


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """``[[session]]``: a client session; `account` empty means it may trade all accounts.

    With `cancel_on_disconnect` its orders are canceled when its client closes, dies or hangs.
    """

    name: str
    account: str
    cancel_on_disconnect: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyConfig:
    """``[[strategy]]``: its class as ``module:Class``, where it trades, and its own parameters.

    One that gives no sign of life for `silence_ms_max` counts as hung; 0 never does.
    """

    name: str
    entry: str
    account: str
    session: str
    params: Mapping[str, Any]
    silence_ms_max: int = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole, consistent configuration."""

    desk: DeskConfig
    engine: EngineConfig
    journal: JournalConfig
    people: tuple[Person, ...]
    instruments: tuple[InstrumentConfig, ...]
    accounts: tuple[AccountConfig, ...]
    limits: tuple[LimitConfig, ...]
    traders: tuple[str, ...]
    sectors: tuple[str, ...]
    venues: tuple[VenueConfig, ...]
    sessions: tuple[SessionConfig, ...]
    strategies: tuple[StrategyConfig, ...]

    @property
    def config_hash(self) -> int:
        """64 bits over every value; comments, order and spelling of numbers do not count."""
        whole = json.dumps(_plain(self), sort_keys=True, separators=(",", ":"))
        return int.from_bytes(hashlib.sha256(whole.encode()).digest()[:8], "little")


FILE_BYTES_MAX = 16 << 20
"""Largest configuration that is read: a device would never end."""


def load(path: str | Path) -> Config:
    """Read and check a configuration file; ConfigError for anything wrong with it."""
    return parse(_read(path), str(path))


def _read(path: str | Path) -> str:
    file = str(path)
    try:
        with Path(path).open("rb") as source:
            data = source.read(FILE_BYTES_MAX + 1)
        text = data.decode("utf-8") if len(data) <= FILE_BYTES_MAX else ""
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=file) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not UTF-8: byte {error.start}", file=file) from None
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(f"has more than {FILE_BYTES_MAX} bytes, the most allowed", file=file)
    return text


def load_limits(
    path: str | Path,
    *,
    names: Mapping[str, list[str]],
    throttle_orders_max: int,
) -> tuple[LimitConfig, ...]:
    """Read a file of limits for a desk; ConfigError for anything wrong.

    `names` are what the desk knows, by entity.

    The file has ``[[limit]]`` alone, or is a whole configuration, of which the limits count.
    """
    file = str(path)
    text = _read(path)
    tree = _tree(text, file)
    reader = _Reader(file, text, tree)
    if "desk" in tree:
        reader.config()
    else:
        for name in tree:
            if name != "limit":
                reader.fail(name, "unknown section; allowed is limit, or a whole configuration")
    reader.whose = "the desk"
    return reader.limits(names, throttle_orders_max)


def parse(text: str, file: str = "<text>") -> Config:
    """Check the text of a configuration; `file` is the name that errors carry."""
    return _Reader(file, text, _tree(text, file)).config()


def _tree(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        line = re.search(r"at line (\d+)", str(error))
        raise ConfigError(
            f"is not TOML: {error}", file=file, line=int(line[1]) if line else 0
        ) from None
    except ValueError as error:  # an integer of thousands of digits
        raise ConfigError(f"is not TOML: {error}", file=file) from None


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (bool, int, str, type(None))) else repr(value)


_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*[A-Za-z0-9_"'-]+)*)\s*=""")


_CLOCK = re.compile(r"(?:([+-]\d)d )?(\d\d):(\d\d)(?::(\d\d))?")


def _lines(text: str) -> dict[str, int]:
    """Line of every table header and key, by dotted path, rows of arrays counted from 1."""
    found: dict[str, int] = {}
    rows: dict[str, int] = {}  # of each array of tables, by its own path with rows counted
    table, fence = "", ""

    def counted(path: str) -> str:
        """Give a path with the row of every array of tables that it goes through."""
        out = ""
        for part in path.split("."):
            out = f"{out}.{part}" if out else part
            out += f"[{rows[out]}]" if out in rows else ""
        return out

    for number, line in enumerate(text.splitlines(), 1):
        if fence:
            fence = "" if fence in line else fence
            continue
        if header := _HEADER.match(line):
            path = re.sub(r"[\s\"']", "", header[2])
            if header[1] == "[[":
                above, _, own = path.rpartition(".")
                array = f"{counted(above)}.{own}" if above else own
                rows[array] = rows.get(array, 0) + 1
                found.setdefault(array, number)
            table = counted(path)
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            path = re.sub(r"[\s\"']", "", key[1])
            found.setdefault(f"{table}.{path}" if table else path, number)
            for quotes in ('"""', "'''"):
                if line.count(quotes) == 1:
                    fence = quotes
    return found


class _Table:
    """One table under reading: takes keys with their rules, then refuses those nobody took."""

    def __init__(self, reader: _Reader, path: str, values: dict[str, Any]) -> None:
        self.reader, self.path, self.values = reader, path, values
        self.known: list[str] = []
        self.lent: dict[str, str] = {}

    def fail(self, key: str, problem: str) -> NoReturn:
        path = self.lent.get(key, self.path)
        self.reader.fail(f"{path}.{key}" if key else path, problem)

    def borrow(self, other: _Table) -> None:
        """Take from another table what this one does not say itself."""
        for key in other.values:
            if key not in self.values and key != "name":
                self.values[key], self.lent[key] = other.values[key], other.path

    def take(self, key: str, default: Any = ...) -> Any:
        self.known.append(key)
        if key in self.values:
            return self.values[key]
        if default is ...:
            near = difflib.get_close_matches(key, self.values.keys(), 1)
            self.fail("", f"{key} is missing" + (f"; is {near[0]} meant for it?" if near else ""))
        return default

    def text(self, key: str, default: Any = ..., *, size_max: int = 36, empty: bool = False) -> str:
        value = self.take(key, default)
        if not isinstance(value, str):
            self.fail(key, f"{_shown(value)} is not a text")
        ok = value.isascii() and value.isprintable() and " " not in value
        if not ok or len(value) > size_max or (not value and not empty):
            low = 0 if empty else 1
            self.fail(
                key,
                f"{_shown(value)} is not allowed: {low} to {size_max} printable ASCII characters "
                "without spaces",
            )
        return value

    def named(self, key: str) -> str:
        """Check a key that is itself a name."""
        if not (key.isascii() and key.isprintable()) or " " in key or not 1 <= len(key) <= 36:
            self.fail(key, "a name is 1 to 36 printable ASCII characters without spaces")
        return key

    def choice(self, key: str, allowed: Iterable[str], default: Any = ...) -> str:
        value, allowed = self.take(key, default), list(allowed)
        if value not in allowed:
            self.fail(
                key, f"{_shown(value)} is not one of {', '.join(allowed)}{_near(value, allowed)}"
            )
        return cast("str", value)

    def name_of(self, key: str, what: str, names: Iterable[str], default: Any = ...) -> str:
        value, names = self.text(key, default, empty=default == ""), list(names)
        if value and value not in names:
            told = ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
            self.fail(
                key,
                f"{_shown(value)} is no {what} of {self.reader.whose}{_near(value, names)}; "
                f"it has {told or 'none'}",
            )
        return value

    def integer(self, key: str, low: int, high: int, default: Any = ...) -> int:
        value = self.take(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            self.fail(key, f"{_shown(value)} is not an integer; allowed are {low} to {high}")
        if not low <= value <= high:
            self.fail(key, f"{_shown(value)} is out of range; allowed are {low} to {high}")
        return value

    def power_of_two(self, key: str, low: int, high: int, default: int) -> int:
        value = self.integer(key, low, high, default)
        if value & (value - 1):
            self.fail(key, f"{value} is not a power of two")
        return value

    def cpu(self) -> int | None:
        value = self.take("cpu", None)
        return None if value is None else self.integer("cpu", 0, 1023)

    def flag(self, key: str, default: bool) -> bool:
        value = self.take(key, default)
        if not isinstance(value, bool):
            self.fail(key, f"{_shown(value)} is not one of true, false")
        return value

    def list_of(self, key: str, what: str, default: Any = ()) -> list[Any]:
        value = self.take(key, list(default))
        if not isinstance(value, list):
            self.fail(key, f"{_shown(value)} is not a list of {what}")
        return value

    def day(self, key: str, value: Any) -> dt.date:
        """Read a date, TOML's own or as text; `key` is where it stands."""
        try:
            day = dt.date.fromisoformat(value) if isinstance(value, str) else value
        except ValueError:
            day = None
        if not isinstance(day, dt.date) or isinstance(day, dt.datetime):
            self.fail(key, f"{_shown(value)} is not a date, write YYYY-MM-DD")
        return day

    def clock(self, key: str, default: Any = ..., *, low: int = -DAY_S, high: int = DAY_S) -> int:
        """Take a time of the wall clock as seconds from the trading day's midnight."""
        value = self.take(key, default)
        found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
        seconds = low - 1
        if found:
            hour, minute, second = int(found[2]), int(found[3]), int(found[4] or 0)
            whole = hour * 3600 + minute * 60 + second
            if minute < 60 and second < 60 and whole <= DAY_S:
                seconds = int(found[1] or 0) * DAY_S + whole
        if not low <= seconds <= high:
            days = '"HH:MM" or "HH:MM:SS"' + (
                ', with "-1d " before it on the day before' * (low < 0)
            )
            self.fail(key, f"{_shown(value)} is not a time of the day; allowed are {days}")
        return seconds

    def fixed(self, key: str, default: Any = ..., *, low: int = 1) -> int:
        """Take a decimal at 1e-9, at least `low` (1e-9 units)."""
        value = self.take(key, default)
        try:
            fixed = to_fixed(value, "value")
        except NumberError as error:
            self.fail(key, str(error))
        if fixed < low:
            self.fail(key, f"{_shown(value)} must be {'above 0' if low == 1 else 'at least 0'}")
        return fixed

    def limit(self, key: str, *, fixed: bool) -> int:
        value = self.take(key)
        if value == "unlimited":
            return UNLIMITED
        if fixed:
            try:
                fixed_value = to_fixed(value, "limit")
            except NumberError as error:
                self.fail(key, f'{error}; or "unlimited"')
            if fixed_value < 0:
                self.fail(key, f'{_shown(value)} is below 0, the least allowed; or "unlimited"')
            return fixed_value
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < UNLIMITED:
            self.fail(
                key,
                f"{_shown(value)} is not allowed: whole units of desk currency from 0 to "
                f'{UNLIMITED - 1}, or "unlimited"',
            )
        return value

    def done(self) -> None:
        for key in self.values:
            if key not in self.known:
                near = _near(key, self.known)
                self.fail(key, f"unknown key{near}; allowed are {', '.join(sorted(self.known))}")


def _shown(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, (str, bool)) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _near(value: Any, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(value, list(names), 2) if isinstance(value, str) else []
    return f" (near: {', '.join(near)})" if near else ""


class _Reader:
    """Walks the tree in the order of its references: venues before instruments, and so on."""

    def __init__(self, file: str, text: str, tree: dict[str, Any]) -> None:
        self.file, self.text, self.tree = file, text, tree
        self.lines: dict[str, int] | None = None
        self.whose = "this file"  # the names that rows may have

    def fail(self, path: str, problem: str) -> NoReturn:
        if self.lines is None:
            self.lines = _lines(self.text)
        at = path
        while at and at not in self.lines:  # an inline table's key stands on its parent's line
            at = at.rpartition(".")[0] if "." in at else ""
        raise ConfigError(problem, file=self.file, line=self.lines.get(at, 0), key=path)

    def table(self, name: str, *, needed: bool = False) -> _Table:
        values = self.tree.get(name, {})
        if needed and name not in self.tree:
            self.fail("", f"section [{name}] is missing")
        if not isinstance(values, dict):
            self.fail(name, f"is a {type(values).__name__}, write it as [{name}]")
        return _Table(self, name, values)

    def rows(self, name: str) -> list[_Table]:
        values = self.tree.get(name, [])
        if not isinstance(values, list) or not all(isinstance(row, dict) for row in values):
            self.fail(name, f"write each one as [[{name}]]")
        return [_Table(self, f"{name}[{i}]", row) for i, row in enumerate(values, 1)]

    def config(self) -> Config:
        sections = (
            *("desk", "engine", "journal", "people"),
            *("class", "instrument", "account", "trader", "limit"),
            *("venue", "session", "strategy"),
        )
        for name in self.tree:
            if name not in sections:
                near = _near(name, sections)
                self.fail(name, f"unknown section{near}; allowed are {', '.join(sections)}")
        desk, engine = self.desk(), self.engine()
        currencies = [desk.currency, *desk.rates]
        accounts = self.named(
            "account", engine.accounts_max, lambda t: self.account(t, desk.currency, currencies)
        )
        self.check_tree(accounts)
        self.check_hedging(accounts, engine.hedging_max)
        account_names = [account.name for account in accounts]
        venues = self.named("venue", engine.venues_max, lambda t: self.venue(t, account_names))
        self.check_adopting(venues, accounts)
        names = [venue.name for venue in venues]
        classes = self.classes()
        instruments = self.named(
            "instrument",
            engine.instruments_max,
            lambda t: self.instrument(t, names, currencies, classes),
        )
        sectors = tuple(dict.fromkeys(i.sector for i in instruments if i.sector))
        if len(sectors) > engine.sectors_max:
            self.fail("instrument", f"{len(sectors)} sectors, engine.sectors_max allows fewer")
        sessions = self.named(
            "session", engine.sessions_max, lambda t: self.session(t, account_names)
        )
        session_names = [session.name for session in sessions]
        traders = tuple(t.name for t in self.named("trader", engine.traders_max, self.trader))
        strategies = self.named(
            "strategy",
            engine.strategies_max,
            lambda t: self.strategy(t, account_names, session_names),
        )
        return Config(
            desk=desk,
            engine=engine,
            journal=self.journal(),
            people=self.people(),
            instruments=instruments,
            accounts=accounts,
            limits=self.limits(
                {
                    "account": account_names,
                    "instrument": [instrument.name for instrument in instruments],
                    "session": session_names,
                    "strategy": [strategy.name for strategy in strategies],
                    "trader": list(traders),
                    "sector": list(sectors),
                },
                engine.throttle_orders_max,
            ),
            traders=traders,
            sectors=sectors,
            venues=venues,
            sessions=sessions,
            strategies=strategies,
        )

    def named(self, name: str, most: int, read: Any) -> tuple[Any, ...]:
        rows, seen = [], set()
        for table in self.rows(name):
            row = read(table)
            table.done()
            if row.name in seen:
                table.fail("name", f"{_shown(row.name)} stands twice")
            seen.add(row.name)
            rows.append(row)
            if len(rows) > most:
                table.fail("", f"the {len(rows)}th {name}; engine.{_plural(name)}_max is {most}")
        return tuple(rows)

    def desk(self) -> DeskConfig:
        table = self.table("desk", needed=True)
        raw = table.take("rates", {})
        if not isinstance(raw, dict):
            table.fail("rates", 'write it as { EUR = "1.08" }')
        rates = _Table(self, "desk.rates", raw)
        desk = DeskConfig(
            name=table.text("name"),
            currency=table.text("currency", "USD"),
            rates=types.MappingProxyType({rates.named(name): rates.fixed(name) for name in raw}),
            rate_age_s_max=table.integer("rate_age_s_max", 1, 2**31, 86_400),
        )
        if desk.currency in raw:
            rates.fail(desk.currency, "is the desk currency, its rate is 1")
        table.done()
        return desk

    def engine(self) -> EngineConfig:
        table = self.table("engine")
        engine = EngineConfig(
            orders_max=table.power_of_two("orders_max", 64, 2**26, 2**20),
            ids_max=table.power_of_two("ids_max", 64, 2**27, 2**21),
            fills_max=table.power_of_two("fills_max", 64, 2**27, 2**21),
            fill_days=table.integer("fill_days", 1, 366, 5),
            accounts_max=table.integer("accounts_max", 1, 2**16, 256),
            instruments_max=table.integer("instruments_max", 1, 2**17, 1_024),
            venues_max=table.integer("venues_max", 1, 1_024, 16),
            sessions_max=table.integer("sessions_max", 1, 2**16 - 2, 64),
            strategies_max=table.integer("strategies_max", 1, 2**16 - 2, 64),
            traders_max=table.integer("traders_max", 1, 2**16 - 2, 64),
            currencies_max=table.integer("currencies_max", 1, 1_024, 32),
            sectors_max=table.integer("sectors_max", 1, 1_024, 32),
            hedging_max=table.integer("hedging_max", 0, 2**12, 8),
            throttle_orders_max=table.power_of_two("throttle_orders_max", 1, 2**16, 1_024),
            log_reserve=table.integer("log_reserve", 64, 2**24, 4_096),
            books_max=table.integer("books_max", 0, 1_024, 4),
            book_orders_max=table.power_of_two("book_orders_max", 64, 2**24, 2**16),
            book_levels_max=table.power_of_two("book_levels_max", 64, 2**20, 2**13),
            id_ttl_s=table.integer("id_ttl_s", 60, 31 * 86_400, 86_400),
            peg_interval_ms=table.integer("peg_interval_ms", 1, 3_600_000, 100),
            peg_ticks=table.integer("peg_ticks", 1, 1_000_000, 1),
            cpu=table.cpu(),
            spin=table.flag("spin", False),
        )
        if engine.ids_max < engine.orders_max:
            table.fail("ids_max", f"{engine.ids_max} is below orders_max {engine.orders_max}")
        table.done()
        return engine

    def journal(self) -> JournalConfig:
        table = self.table("journal")
        journal = JournalConfig(
            tier=table.choice("tier", TIERS, "process"),
            ring_mib=table.power_of_two("ring_mib", 1, 16_384, 64),
            segment_mib=table.power_of_two("segment_mib", 1, 16_384, 64),
            cpu=table.cpu(),
        )
        table.done()
        return journal

    def people(self) -> tuple[Person, ...]:
        people: list[Person] = []
        for name, raw in self.table("people").values.items():
            path = f"people.{name}"
            if not (name.isascii() and name.isprintable()) or " " in name or len(name) > 24:
                self.fail(path, "a name is 1 to 24 printable ASCII characters without spaces")
            if not isinstance(raw, dict):
                self.fail(path, 'write it as { roles = ["risk"], uid = 1000 }')
            table = _Table(self, path, raw)
            roles = table.take("roles")
            if not isinstance(roles, list) or not roles:
                table.fail("roles", f"{_shown(roles)} is not a list of {', '.join(ROLES)}")
            for role in roles:
                if role not in ROLES:
                    table.fail(
                        "roles",
                        f"{_shown(role)} is not one of {', '.join(ROLES)}{_near(role, ROLES)}",
                    )
            uid = table.integer("uid", 0, 2**32 - 2) if "uid" in raw else table.take("uid", None)
            table.done()
            same = next((p.name for p in people if uid is not None and p.uid == uid), None)
            if same is not None:
                table.fail("uid", f"{uid} is {same}'s: one user would be two people")
            people.append(Person(name=name, roles=tuple(roles), uid=uid))
        return tuple(people)

    def venue(self, table: _Table, accounts: list[str]) -> VenueConfig:
        zone = self.zone(table)
        venue = VenueConfig(
            name=table.text("name"),
            socket=table.text("socket", "", size_max=100, empty=True),
            replace_rule=table.choice("replace_rule", CODES["replace_rule"]),
            queue_rule=table.choice("queue_rule", CODES["queue_rule"], "untold"),
            replenishes_icebergs=table.flag("replenishes_icebergs", False),
            exec_id_versions=table.flag("exec_id_versions", False),
            cancel_on_disconnect=table.flag("cancel_on_disconnect", True),
            cancels_per_s_max=table.integer("cancels_per_s_max", 0, 1_000_000, 100),
            mass_cancel=table.flag("mass_cancel", False),
            kill_confirm_ms_max=table.integer("kill_confirm_ms_max", 0, 3_600_000, 10_000),
            zone=zone,
            schedule=self.schedule(table, zone),
            unknown_orders=table.choice("unknown_orders", ("flag", "adopt"), "flag"),
            adopt_account=table.name_of("adopt_account", "account", accounts, ""),
            overfill=table.choice("overfill", ("alarm", "stop"), "alarm"),
            answer_s_max=table.integer("answer_s_max", 0, 255, 5),
        )
        if (venue.unknown_orders == "adopt") != bool(venue.adopt_account):
            lonely = "adopt_account" if venue.adopt_account else "unknown_orders"
            table.fail(lonely, 'unknown_orders = "adopt" and adopt_account go together')
        return venue

    def schedule(self, venue: _Table, zone: str) -> Schedule | None:
        raw = venue.take("schedule", None)
        if raw is None:
            return None
        if not isinstance(raw, dict):
            venue.fail("schedule", f"{_shown(raw)} is not a table: write it as [venue.schedule]")
        table = _Table(self, f"{venue.path}.schedule", raw)
        try:
            zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            told = "this machine has no zone database, which a schedule needs: install tzdata"
            venue.fail("schedule", told)
        rows = table.take("session")
        if not isinstance(rows, list) or not rows or not all(isinstance(r, dict) for r in rows):
            table.fail("session", "write each one as [[venue.schedule.session]]; one at least")
        sessions = tuple(
            self.day_session(_Table(self, f"{table.path}.session[{i}]", row))
            for i, row in enumerate(rows, 1)
        )
        raw_early = table.take("early_close", {})
        if not isinstance(raw_early, dict):
            table.fail("early_close", 'write it as { "2026-11-27" = "12:15" }')
        early = _Table(self, f"{table.path}.early_close", raw_early)
        schedule = Schedule(
            zone=zone,
            sessions=sessions,
            day_roll_min=table.clock("day_roll", "00:00", low=0, high=DAY_S - 60) // 60,
            weekdays=self.weekdays(table),
            holidays=frozenset(
                table.day("holidays", day) for day in table.list_of("holidays", "dates")
            ),
            early_closes=types.MappingProxyType(
                {early.day(day, day): early.clock(day) for day in raw_early}
            ),
        )
        table.done()
        if schedule.day_roll_min * 60 != table.clock("day_roll", "00:00", low=0, high=DAY_S - 60):
            table.fail("day_roll", f"{_shown(raw['day_roll'])} is not a whole minute")
        if told := problem(schedule):
            table.fail("session", told)
        for day in schedule.early_closes:
            if told := early_problem(schedule, day):
                early.fail(str(day), told)
        return schedule

    @staticmethod
    def day_session(table: _Table) -> Session:
        phases = []
        for key, phase in PHASE_KEYS.items():
            needed = key in ("open", "close")
            if needed or key in table.values:
                phases.append((table.clock(key, ... if needed else None), phase))
            table.known.append(key)
        table.done()
        return Session(phases=tuple(phases))

    @staticmethod
    def weekdays(table: _Table) -> tuple[int, ...]:
        names = table.list_of("weekdays", "days", list(WEEKDAYS[:5]))
        for name in names:
            if name not in WEEKDAYS:
                told = f"{_shown(name)} is not one of {', '.join(WEEKDAYS)}{_near(name, WEEKDAYS)}"
                table.fail("weekdays", told)
        if not names or len(set(names)) != len(names):
            table.fail("weekdays", f"{_shown(names)}: name each day once, and one at least")
        return tuple(sorted(WEEKDAYS.index(name) for name in names))

    @staticmethod
    def zone(table: _Table) -> str:
        zone = table.text("zone", "UTC", size_max=32)
        try:
            zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            known = zoneinfo.available_timezones()
            if known:  # a machine without a zone database cannot judge
                table.fail("zone", f"{_shown(zone)} is no time zone{_near(zone, known)}")
        return zone

    def instrument(
        self,
        table: _Table,
        venues: list[str],
        currencies: list[str],
        classes: Mapping[str, _Table],
    ) -> InstrumentConfig:
        class_name = table.name_of("class", "class", list(classes), "")
        if class_name:
            table.borrow(classes[class_name])
        reference = table.choice("reference", ("quote", "last", "set"), "quote")
        margin_unit = table.choice("margin_unit", ("ppm", "price"), "ppm")
        instrument = InstrumentConfig(
            name=table.text("name"),
            venue=table.name_of("venue", "venue", venues),
            currency=table.name_of("currency", "currency with a rate in [desk]", currencies),
            tick=table.fixed("tick"),
            lot=table.fixed("lot"),
            qty_min=table.fixed("qty_min"),
            qty_max=table.fixed("qty_max"),
            contract_multiplier=table.fixed("contract_multiplier", "1"),
            band_unit=table.choice("band_unit", ("ppm", "price"), "ppm"),
            band=self.band(table),
            reference_age_ms_max=table.integer("reference_age_ms_max", 1, 2**32 - 1, 5_000),
            restricted=table.flag("restricted", False),
            negative_prices=table.flag("negative_prices", False),
            band_check=table.flag("band_check", True),
            locked_is_reference=table.flag("locked_is_reference", False),
            class_name=class_name,
            sector=table.text("sector", "", empty=True),
            reference=reference,
            reference_price=self.reference_price(table, reference),
            margin=(
                table.integer("margin", 0, 100_000_000, 0)
                if margin_unit == "ppm"
                else table.fixed("margin", low=0)
            ),
            margin_unit=margin_unit,
            market_orders=table.flag("market_orders", True),
            mark_short=table.flag("mark_short", False),
        )
        for key in ("qty_min", "qty_max"):
            if getattr(instrument, key) % instrument.lot:
                table.fail(
                    key, f"{table.values[key]} is not a multiple of lot {table.values['lot']}"
                )
        if instrument.qty_max < instrument.qty_min:
            table.fail(
                "qty_max", f"{table.values['qty_max']} is below qty_min {table.values['qty_min']}"
            )
        return instrument

    @staticmethod
    def reference_price(table: _Table, reference: str) -> int:
        if reference == "set":
            return table.fixed("reference_price")
        if "reference_price" in table.values:
            table.fail("reference_price", 'is used with reference = "set" alone')
        return 0

    @staticmethod
    def trader(table: _Table) -> TraderConfig:
        return TraderConfig(name=table.text("name"))

    def classes(self) -> dict[str, _Table]:
        """Keep what each ``[[class]]`` lends to the instruments that name it, unread."""
        found: dict[str, _Table] = {}
        for table in self.rows("class"):
            name = table.text("name")
            if name in found:
                table.fail("name", f"a second class {_shown(name)}")
            table.known.extend(CLASS_FIELDS)
            table.done()
            found[name] = table
        return found

    @staticmethod
    def band(table: _Table) -> int:
        if table.values.get("band_check") is False and "band" not in table.values:
            table.known.append("band")
            return 0
        if table.values.get("band_unit", "ppm") == "ppm":
            return table.integer("band", 1, 1_000_000)
        return table.fixed("band")

    def account(self, table: _Table, currency: str, currencies: list[str]) -> AccountConfig:
        return AccountConfig(
            name=table.text("name"),
            parent=table.text("parent", "", empty=True),
            level=table.choice("level", CODES["account_level"], "account"),
            currency=table.name_of(
                "currency", "currency with a rate in [desk]", currencies, currency
            ),
            position_mode=table.choice("position_mode", CODES["position_mode"], "net"),
        )

    def check_adopting(
        self, venues: tuple[VenueConfig, ...], accounts: tuple[AccountConfig, ...]
    ) -> None:
        """Refuse an account of legs: a found order tells no PositionEffect(77)."""
        hedging = [account.name for account in accounts if account.position_mode != "net"]
        for i, venue in enumerate(venues, 1):
            if venue.adopt_account in hedging:
                told = f'{_shown(venue.adopt_account)} keeps legs apart (position_mode = "hedging")'
                self.fail(
                    f"venue[{i}].adopt_account",
                    f"{told} and a found order tells no leg: name an account that nets",
                )

    def check_hedging(self, accounts: tuple[AccountConfig, ...], hedging_max: int) -> None:
        """No more accounts keep their legs apart than the engine has room for."""
        hedging = [i for i, account in enumerate(accounts, 1) if account.position_mode != "net"]
        if len(hedging) > hedging_max:
            self.fail(
                f"account[{hedging[hedging_max]}].position_mode",
                f"{len(hedging)} accounts hedge, engine.hedging_max allows {hedging_max}",
            )

    def check_tree(self, accounts: tuple[AccountConfig, ...]) -> None:
        """Parents exist, stand at a higher level and therefore never form a ring."""
        by_name = {account.name: account for account in accounts}
        for i, account in enumerate(accounts, 1):
            if not account.parent:
                continue
            path = f"account[{i}].parent"
            parent = by_name.get(account.parent)
            if parent is None:
                near = _near(account.parent, by_name)
                self.fail(path, f"{_shown(account.parent)} is no account of this file{near}")
            if parent.level_code <= account.level_code:
                self.fail(
                    path,
                    f"{_shown(parent.name)} is a {parent.level}, not above the {account.level} "
                    f"{_shown(account.name)}",
                )

    @staticmethod
    def session(table: _Table, accounts: list[str]) -> SessionConfig:
        return SessionConfig(
            name=table.text("name"),
            account=table.name_of("account", "account", accounts, ""),
            cancel_on_disconnect=table.flag("cancel_on_disconnect", True),
        )

    def limits(self, names: Mapping[str, list[str]], throttle_max: int) -> tuple[LimitConfig, ...]:
        limits, seen = [], set()
        for table in self.rows("limit"):
            scope = table.choice("scope", LIMIT_FIELDS)
            parts = {"account_instrument": ("account", "instrument"), "desk": ()}
            of = {
                part: table.name_of(part, part, names[part]) for part in parts.get(scope, (scope,))
            }
            values = self.limit_values(table, scope, throttle_max)
            table.done()
            row = (scope, *of.values())
            if row in seen:
                table.fail("", f"a second row for {' '.join(row)}")
            seen.add(row)
            account, instrument = of.pop("account", ""), of.pop("instrument", "")
            limits.append(
                LimitConfig(
                    scope=scope,
                    account=account,
                    instrument=instrument,
                    entity=next(iter(of.values()), ""),
                    **values,
                )
            )
        return tuple(limits)

    @staticmethod
    def limit_values(table: _Table, scope: str, throttle_max: int) -> dict[str, int]:
        """Take what a row says, and give the rest its meaning of no limit."""
        values: dict[str, int] = {
            **dict.fromkeys(("orders_max", "window_ms"), 0),
            **dict.fromkeys(("order_qty_max", "order_notional_max", "net_qty_max"), UNLIMITED),
            **dict.fromkeys(("gross_notional_max", "net_notional_max"), UNLIMITED),
            **dict.fromkeys(("day_notional_max", "margin_max", "minute_orders_max"), 0),
            **dict.fromkeys(("burst", "repeat_window_ms", "concentration_bp_max"), 0),
        }
        extras = LIMIT_EXTRAS.get(scope, ())
        given = [field for field in extras if field in table.values or field == "window_ms"]
        for field in (*LIMIT_FIELDS[scope], *given):
            if field in LIMIT_BOUNDS:
                values[field] = table.integer(field, 0, LIMIT_BOUNDS[field])
            elif field in ("orders_max", "minute_orders_max"):
                values[field] = table.integer(field, 0, throttle_max)  # engine's window
            elif field == "window_ms":
                low = 1 if values["orders_max"] else 0
                values[field] = table.integer(field, low, 86_400_000, ... if low else 0)
            else:
                values[field] = table.limit(field, fixed=field.endswith("qty_max"))
        table.known.extend(extras)
        if values["orders_max"] * max(values["burst"], 1) > throttle_max:
            table.fail(
                "burst",
                f"{values['burst']} times orders_max {values['orders_max']} is above "
                f"engine.throttle_orders_max {throttle_max}",
            )
        net, gross = values["net_notional_max"], values["gross_notional_max"]
        if gross < net < UNLIMITED:
            table.fail(
                "net_notional_max",
                f"{net} is above gross_notional_max {gross}: a net is never above the gross; "
                f'allowed are 0 to {gross}, or "unlimited"',
            )
        for field in ("day_notional_max", "margin_max"):
            if table.values.get(field) == "unlimited":
                values[field] = 0
            elif field in table.values and values[field] == 0:
                table.fail(field, '0 would mean no limit: write "unlimited", or restrict it')
        return values

    @staticmethod
    def strategy(table: _Table, accounts: list[str], sessions: list[str]) -> StrategyConfig:
        entry = table.text("entry", "", size_max=200, empty=True)
        if entry and not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", entry):
            table.fail("entry", f"{_shown(entry)} is not of the form package.module:Class")
        params = table.take("params", {})
        if not isinstance(params, dict):
            table.fail("params", f"{_shown(params)} is not a table")
        return StrategyConfig(
            name=table.text("name"),
            entry=entry,
            account=table.name_of("account", "account", accounts),
            session=table.name_of("session", "session", sessions),
            params=types.MappingProxyType(params),
            silence_ms_max=table.integer("silence_ms_max", 0, 3_600_000, 5_000),
        )


def _plural(name: str) -> str:
    return "strategies" if name == "strategy" else name + "s"
