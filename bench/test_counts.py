"""The instruction gate: what valgrind counts does not depend on who else uses the machine."""

import os

import pytest

from pyoms import bench

GATES = {
    case: row["instructions_max"]
    for case, row in bench.budget().items()
    if "instructions_max" in row
}


@pytest.mark.slow
@pytest.mark.skipif(
    "CI" not in os.environ and bench.uncounted() is not None, reason=f"{bench.uncounted()}"
)
@pytest.mark.parametrize("case", GATES)
def test_an_operation_takes_no_more_instructions_than_its_gate(case):
    counted = bench.instructions(case)
    assert counted is not None, bench.uncounted()
    assert 0 < counted <= GATES[case]


def test_the_decision_has_a_gate():
    assert "decide_hot" in GATES
