"""The configuration: the example is whole, and every mistake is told with its place and bound."""

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyoms import config
from pyoms.errors import ConfigError
from pyoms.numbers import to_text

EXAMPLE = Path(__file__).parents[2] / "examples" / "desk.toml"
TEXT = EXAMPLE.read_text()


def mistake(old, new, text=TEXT):
    """Plant one mistake, which must be there to plant, and return the error and its line's text."""
    assert old in text
    broken = text.replace(old, new, 1)
    with pytest.raises(ConfigError) as caught:
        config.parse(broken, "desk.toml")
    error = caught.value
    return error, broken.splitlines()[error.line - 1] if error.line else ""


def test_example_is_whole_and_names_every_section():
    whole = config.load(EXAMPLE)
    for field in dataclasses.fields(whole):
        assert getattr(whole, field.name), field.name
    es = whole.instruments[0]
    assert (es.tick, es.lot, es.contract_multiplier) == (250_000_000, 10**9, 50 * 10**9)
    assert es.flags == 2 | 256  # a band in ppm, margin an amount a unit
    assert (es.class_name, es.band, es.margin) == ("index-future", 20_000, 13_000 * 10**9)
    assert whole.limits[0].net_qty_max == config.UNLIMITED


def test_a_venue_adopts_unknown_orders_by_word_and_for_an_account_of_the_file():
    whole = config.load(EXAMPLE)
    account = whole.accounts[-1].name
    word = f'unknown_orders = "adopt"\nadopt_account = "{account}"'
    adopts = config.parse(TEXT.replace('unknown_orders = "flag"', word), "desk.toml").venues[0]
    assert (whole.venues[0].unknown_orders, whole.venues[0].flags) == ("flag", 1)
    assert (adopts.unknown_orders, adopts.adopt_account) == ("adopt", account)
    stops = config.parse(TEXT.replace('overfill = "alarm"', 'overfill = "stop"'), "desk.toml")
    assert stops.venues[0].flags == 1 | 4


def test_an_account_that_hedges_adopts_nothing():
    word = 'unknown_orders = "adopt"\nadopt_account = "MAKER"'
    hedged = TEXT.replace('position_mode = "net"', 'position_mode = "hedging"')
    with pytest.raises(ConfigError, match="name an account that nets") as told:
        config.parse(hedged.replace('unknown_orders = "flag"', word), "desk.toml")
    assert (told.value.file, told.value.key) == ("desk.toml", "venue[1].adopt_account")
    assert '"MAKER" keeps legs apart' in str(told.value)


def test_commented_keys_of_the_example_are_good_too():
    uncommented = re.sub(r"(?m)^# (cpu) =", r"\1 =", TEXT)
    whole = config.parse(uncommented)
    assert (whole.engine.cpu, whole.journal.cpu) == (2, 3)
    assert whole.strategies[0].entry == "pyoms.demo.strategies:Maker"


def test_an_account_hedges_by_name_and_only_as_many_as_the_engine_keeps_legs_for():
    hedged = TEXT.replace('position_mode = "net"', 'position_mode = "hedging"')
    accounts = {account.name: account.flags for account in config.parse(hedged).accounts}
    assert accounts == {"FIRM": 0, "MAKER": 1, "SLICER": 0}
    error, line = mistake("hedging_max = 8", "hedging_max = 0", hedged)
    assert "account[2].position_mode" in str(error)
    assert "1 accounts hedge, engine.hedging_max allows 0" in str(error)
    assert "hedging" in line


def test_smallest_configuration_is_on_the_safe_side():
    whole = config.parse('[desk]\nname = "d"\n[[venue]]\nname = "V"\nreplace_rule = "cancel_new"\n')
    assert whole.venues[0].cancel_on_disconnect
    assert whole.journal.tier == "process"
    assert whole.engine.id_ttl_s == 86_400
    assert not whole.limits


MISTAKES = [
    # planted                               instead                       key               told
    ('name = "es-desk"', 'nmae = "es-desk"', "desk", "name is missing; is nmae meant"),
    ("[engine]", "[engin]", "engin", "unknown section (near: engine)"),
    ("spin = false", "spinn = false", "engine.spinn", "unknown key (near: spin"),
    ("spin = false", 'spin = "no"', "engine.spin", '"no" is not one of true, false'),
    ("ids_max = 2_097_152", "ids_max = 128", "engine.ids_max", "128 is below orders_max 1048576"),
    ("orders_max = 1_048_576", "orders_max = 0", "engine.orders_max", "allowed are 64 to 67108864"),
    ("orders_max = 1_048_576", "orders_max = 1.5", "engine.orders_max", "1.5 is not an integer"),
    ('tier = "process"', 'tier = "disc"', "journal.tier", "memory, process, disk (near: disk)"),
    ('tier = "process"', "tier = ['disk']", "journal.tier", "is not one of memory"),
    ("orders_max = 1_000 ", "orders_max = 1_025 ", "limit[1].orders_max", "allowed are 0 to 1024"),
    (
        'unknown_orders = "flag"',
        'unknown_orders = "adopt"',
        "venue[1].unknown_orders",
        "and adopt_account go together",
    ),
    ('overfill = "alarm"', 'overfill = "ignore"', "venue[1].overfill", "is not one of alarm, stop"),
    ("fill_days = 5", "fill_days = 0", "engine.fill_days", "allowed are 1 to 366"),
    ("fills_max = 2_097_152", "fills_max = 65", "engine.fills_max", "65 is not a power of two"),
    ("ring_mib = 64", "ring_mib = 65", "journal.ring_mib", "65 is not a power of two"),
    ('["auditor"]', '["auditr"]', "people.carol.roles", '"auditr" is not one of viewer'),
    ('["auditor"]', "[]", "people.carol.roles", "is not a list of"),
    ("uid = 1001", "uid = -1", "people.bob.uid", "-1 is out of range"),
    ('carol = { roles = ["auditor"] }', 'carol = "x"', "people.carol", "write it as"),
    ('tick = "0.25"', "tick = 0.25", "instrument[1].tick", "0.25 is a float"),
    ('tick = "0.25"', "tick = nan", "instrument[1].tick", "nan is a float"),
    ('tick = "0.25"', "tick = -inf", "instrument[1].tick", "-inf is a float"),
    ('tick = "0.25"', 'tick = "nan"', "instrument[1].tick", "'nan' is not a decimal number"),
    ('tick = "0.25"', 'tick = "0.0000000001"', "instrument[1].tick", "has 10 decimals, at most 9"),
    ('tick = "0.25"', 'tick = "0"', "instrument[1].tick", "must be above 0"),
    ('tick = "0.25"', 'tick = "9223372037"', "instrument[1].tick", "at most ±9223372036.854775807"),
    ("qty_max = 500", 'qty_max = "1.5"', "instrument[1].qty_max", "1.5 is not a multiple of lot 1"),
    ("qty_min = 1", "qty_min = 501", "instrument[1].qty_max", "500 is below qty_min 501"),
    ("band = 20_000 ", "band = 0 ", "class[1].band", "allowed are 1 to 1000000"),
    ('venue = "SIM"', 'venue = "SIN"', "instrument[1].venue", "no venue of this file (near: SIM)"),
    (
        'currency = "USD"\ntick',
        'currency = "JPY"\ntick',
        "instrument[1].currency",
        "it has USD, EUR",
    ),
    ('name = "MAKER"', 'name = "MA KER"', "account[2].name", "without spaces"),
    ('name = "MAKER"', f'name = "{"M" * 37}"', "account[2].name", "1 to 36 printable ASCII"),
    ('name = "SLICER"', 'name = "MAKER"', "account[3].name", '"MAKER" stands twice'),
    (
        'parent = "FIRM"',
        'parent = "FIRN"',
        "account[2].parent",
        "no account of this file (near: FI",
    ),
    ('parent = "FIRM"', 'parent = "MAKER"', "account[2].parent", "is a account, not above"),
    ('mode = "net"', 'mode = "hedge"', "account[2].position_mode", "is not one of net, hedging"),
    ("hedging_max = 8", "hedging_max = -1", "engine.hedging_max", "allowed are 0 to 4096"),
    ("order_qty_max = 100", "# ", "limit[1]", "order_qty_max is missing"),
    ("order_qty_max = 100", "order_qty_max = 1e2", "limit[1].order_qty_max", "100.0 is a float"),
    ("net_qty_max = 200", 'net_qty_max = "all"', "limit[3].net_qty_max", 'or "unlimited"'),
    ('max = "unlimited"', 'max = "unlimitd"', "limit[3].order_notional_max", 'or "unlimited"'),
    ('scope = "session"', 'scope = "venue"', "limit[4].scope", '"venue" is not one of account'),
    ('class = "index-future"', 'class = "index"', "instrument[1].class", "no class of this file"),
    ('name = "index-future"', 'name = "a"\ntick = 1', "class[1].tick", "unknown key"),
    ('reference = "quote"', 'reference = "set"', "instrument[1]", "reference_price is missing"),
    (
        'reference = "quote"',
        'reference = "last"\nreference_price = 1',
        "class[1].reference_price",
        "unknown key",
    ),
    ("margin = 13_000", 'margin = "-1"', "class[1].margin", "must be at least 0"),
    ('sector = "equity-index"\ngross', 'sector = "x"\ngross', "limit[6].sector", "no sector of"),
    ('trader = "joan"', 'trader = "jane"', "limit[9].trader", "it has joan"),
    ("burst = 1", "burst = 2", "limit[1].burst", "2 times orders_max 1000 is above"),
    ("margin_max = 20_000_000", "margin_max = 0", "limit[1].margin_max", "would mean no limit"),
    ("repeat_window_ms = 0", "repeat_window_ms = 60_001", "limit[1].repeat_window_ms", "60000"),
    (
        "net_notional_max = 250_000_000",
        "net_notional_max = 500_000_001",
        "limit[1].net_notional_max",
        "a net is never above the gross",
    ),
    ('session = "S1"\norders', 'session = "S9"\norders', "limit[4].session", "it has S1, S2"),
    (
        'account = "SLICER"\norders',
        'account = "MAKER"\norders',
        "limit[2]",
        "a second row for account",
    ),
    (
        'replace_rule = "in_flight_counted"',
        'replace_rule = "none"',
        "venue[1].replace_rule",
        "cancel_new",
    ),
    ('zone = "America/Chicago"', 'zone = "America/Chicagoo"', "venue[1].zone", "America/Chicago"),
    (
        'entry = "pyoms.demo.strategies:Maker"',
        'entry = "Maker"',
        "strategy[1].entry",
        "module:Class",
    ),
    ('EUR = "1.08"', 'USD = "1.08"', "desk.rates.USD", "is the desk currency"),
    ('EUR = "1.08"', "EUR = 1.08", "desk.rates.EUR", "1.08 is a float"),
]


@pytest.mark.parametrize(("old", "new", "key", "told"), MISTAKES)
def test_mistake_is_told_with_file_line_key_value_and_bound(old, new, key, told):
    error, line = mistake(old, new)
    assert error.key == key
    assert told in error.problem
    assert str(error).startswith(f"desk.toml:{error.line}: {key}: ") or key == "engin"
    last = re.sub(r"\[\d+\]$", "", key).split(".")[-1]
    assert last in line or key.split(".")[-2] in line or "rates" in line


def test_what_is_no_toml_is_told_with_its_line():
    error, line = mistake("[journal]", "[journal")
    assert "is not TOML" in error.problem
    assert line.startswith("[journal")


def test_unreadable_files_are_config_errors(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b"name = '\xff'")
    for name, told in (("none.toml", "No such file"), ("latin.toml", "not UTF-8: byte 8")):
        with pytest.raises(ConfigError, match=told):
            config.load(tmp_path / name)


def test_capacities_bound_the_file():
    error, _ = mistake("accounts_max = 256", "accounts_max = 2")
    assert "engine.accounts_max is 2" in error.problem


@given(st.text(max_size=300))
def test_any_text_is_a_configuration_or_a_config_error(text):
    for whole in (text, f"[desk]\nname = 'd'\n{text}"):
        try:
            config.parse(whole)
        except ConfigError:
            continue


@given(st.integers(1, 2**63 - 1))
def test_every_decimal_reaches_the_instrument_exactly(tick):
    text = TEXT.replace('tick = "0.25"', f'tick = "{to_text(tick)}"', 1)
    assert config.parse(text).instruments[0].tick == tick


def test_hash_follows_values_not_spelling():
    whole = config.parse(TEXT)
    respelt = TEXT.replace('tick = "0.25"', 'tick = "0.250"').replace("lot = 1\n", 'lot = "1.0"\n')
    respelt = re.sub(r"(?m)#.*$", "", respelt)
    assert config.parse(respelt).config_hash == whole.config_hash
    changed = TEXT.replace('tick = "0.25"', 'tick = "0.5"', 1)
    assert config.parse(changed).config_hash != whole.config_hash


SCHEDULE = EXAMPLE.with_name("schedule.toml")
ROW = "[[venue.schedule.session]]  # Sunday evening is Monday's\n"

SCHEDULE_MISTAKES = [
    # planted                        instead                      key                     told
    (
        'open = "-1d 17:00"',
        'open = "17"',
        "session[1].open",
        '"17" is not a time of the day; allowed',
    ),
    ('open = "-1d 17:00"', 'open = "-2d 17:00"', "session[1].open", "is not a time of the day"),
    ('close = "16:00"', 'close = "+1d 02:00"', "session[1].close", 'with "-1d " before it'),
    ('close = "16:00"', 'close = "16:61"', "session[1].close", '"HH:MM" or "HH:MM:SS"'),
    ('close = "16:00"', 'clos = "16:00"', "session[1]", "close is missing; is clos meant for it?"),
    ('pre_open = "-1d', 'preopen = "-1d', "session[1].preopen", "unknown key (near: pre_open"),
    ('close = "16:00"', 'close = "-1d 16:50"', "session", "-1d 16:50 is not after -1d 17:00"),
    (
        'close = "16:00"',
        'close = "17:30"',
        "session",
        "17:30 is outside the trading day, which lasts",
    ),
    ('day_roll = "16:45"', 'day_roll = "17:00"', "session", "-1d 16:45 is outside the trading day"),
    ('day_roll = "16:45"', 'day_roll = "-1d 16:45"', "day_roll", "is not a time of the day"),
    ('day_roll = "16:45"', 'day_roll = "16:45:30"', "day_roll", "is not a whole minute"),
    ('"mon", "tue"', '"mon", "tues"', "weekdays", '"tues" is not one of mon, tue, wed'),
    ('"mon", "tue"', '"mon", "mon"', "weekdays", "name each day once, and one at least"),
    ('["2026-12-25", "2027', '["2026-12-32", "2027', "holidays", '"2026-12-32" is not a date'),
    (
        'holidays = ["2026-12-25',
        'holidays = "x" # ["2026-12-25',
        "holidays",
        "is not a list of dates",
    ),
    (
        '"2026-11-27" = "12:15"',
        '"2026-11-28" = "12:15"',
        "early_close.2026-11-28",
        "no trading day",
    ),
    ('"2026-11-27" = "12:15"', '"2026-12-25" = "12:15"', "early_close.2026-12-25", "a holiday"),
    ('"2026-11-27" = "12:15"', '"27.11.2026" = "12:15"', "early_close.27.11.2026", "is not a date"),
    (
        '"2026-11-27" = "12:15"',
        '"2026-11-27" = "17:00"',
        "early_close.2026-11-27",
        "is not between",
    ),
    ("early_close = {", "early_closes = {", "early_closes", "unknown key (near: early_close"),
]


@pytest.mark.parametrize(("old", "new", "key", "told"), SCHEDULE_MISTAKES)
def test_a_mistake_in_a_schedule_is_told_with_its_line_key_value_and_what_is_allowed(
    old, new, key, told
):
    error, line = mistake(old, new, SCHEDULE.read_text())
    assert error.key == f"venue[1].schedule.{key}"
    assert told in str(error)
    assert "desk.toml" in str(error)
    wanted = new.split(" =")[0] if "session" not in key else ""
    assert line.startswith((wanted, "early_close", "weekdays", "holidays", "[")) or wanted in line


def test_a_key_of_a_row_below_a_row_is_told_with_its_own_line():
    text = SCHEDULE.read_text().replace('open = "09:30"', 'open = "9:30"')
    with pytest.raises(ConfigError) as caught:
        config.parse(text, "desk.toml")
    assert caught.value.key == "venue[2].schedule.session[1].open"
    assert text.splitlines()[caught.value.line - 1] == 'open = "9:30"'


def test_a_schedule_is_read_as_it_stands():
    cme, nyse = (venue.schedule for venue in config.load(SCHEDULE).venues)
    assert cme is not None
    assert nyse is not None
    assert cme.sessions[0].phases == ((-26_100, "pre_open"), (-25_200, "open"), (57_600, "closed"))
    assert (cme.day_roll_min, nyse.day_roll_min) == (1_005, 0)
    assert [phase for _, phase in nyse.sessions[0].phases] == [
        *("pre_open", "auction", "open", "auction", "closed"),
    ]
