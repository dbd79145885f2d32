"""The border from Python, by pytest-benchmark; and every case of `pyoms bench`, small."""

import json

import pytest

from pyoms import bench, cli


@pytest.fixture
def rounds():
    return 500


def test_python_submit(benchmark, rounds):
    oms = bench.desk(2 * rounds)
    verdict = benchmark.pedantic(lambda: oms.submit("ESH4", "buy", 1, "4799.25"), rounds=rounds)
    assert verdict.name == "accepted"
    assert oms.counters()["accepted"] == rounds


def test_python_gate(benchmark, rounds):
    oms = bench.desk(2 * rounds)
    gate, ids = oms.gate("ESH4"), iter([f"t{n}" for n in range(rounds)])

    def submit():
        return gate.submit(next(ids), 1, 4_799_000_000_000, 1_000_000_000)

    assert benchmark.pedantic(submit, rounds=rounds) == 0
    assert oms.counters()["accepted"] == rounds


def test_python_batch(benchmark):
    calls = 5
    oms = bench.desk(calls * bench.BATCH)
    rows = oms.blank_orders(bench.BATCH, "ESH4")
    rows["side"], rows["price"], rows["order_qty"] = 1, 4_799_000_000_000, 1_000_000_000
    numbers = iter(range(calls))

    def fresh():
        call = next(numbers)
        rows["cl_ord_id"] = [b"t%d.%d" % (call, n) for n in range(bench.BATCH)]

    verdicts = benchmark.pedantic(lambda: oms.submit_many(rows), setup=fresh, rounds=calls)
    assert not verdicts.any()
    assert oms.counters()["accepted"] == calls * bench.BATCH


@pytest.mark.parametrize("case", bench.cases())
def test_every_case_gives_a_line_of_the_interface(case, capsys):
    assert cli.run(["bench", case, "--small", "--json"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["case"] == case
    wanted = "case tier data n p50_ns p99_ns p999_ns max_ns ops_per_s instructions counters pacer"
    assert set(line) == {*wanted.split(), "reload", "machine"}
    assert line["n"] > 0
    assert 0 <= line["p50_ns"] <= line["p99_ns"] <= line["p999_ns"] <= line["max_ns"]
    assert (line["pacer"] is not None) == (case == "decide_paced")
    assert (line["reload"] is not None) == (case == "limits_reload")
    counted = case in {*bench.COUNTED, "kill_read"} and "no counters" not in line["machine"]
    assert (line["counters"] is not None) == counted


def test_every_budget_is_of_a_case():
    assert set(bench.budget()) <= set(bench.cases())


def test_an_unknown_case_is_refused_by_name(capsys):
    assert cli.run(["bench", "decide_fast", "--small", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert "decide_hot" in told["error"]["message"]
