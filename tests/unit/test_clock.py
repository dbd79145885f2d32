"""The histogram and the clock of `pyoms_core.clock`."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyoms_core.clock import Histogram, monotonic_ns, probe


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=200), st.floats(0, 100))
def test_percentile_is_within_one_bucket_of_the_sorted_list(values, percent):
    histogram = Histogram()
    histogram.record_many(np.array(values, dtype=np.int64))
    exact = sorted(values)[max(0, math.ceil(percent / 100 * len(values) - 1e-6) - 1)]
    told = histogram.percentile(percent)
    assert exact <= told <= min(max(values), exact + exact // 128)


@given(st.lists(st.integers(-10, 10**9), max_size=50), st.lists(st.integers(0, 10**9), max_size=50))
def test_merge_counts_as_one_list(first, second):
    apart, other, together = Histogram(), Histogram(), Histogram()
    for value in first:
        apart.record(value)
        together.record(value)
    for value in second:
        other.record(value)
        together.record(value)
    apart.merge(other)
    assert apart.buckets() == together.buckets()
    assert (apart.count, apart.min_ns, apart.max_ns) == (
        together.count,
        together.min_ns,
        together.max_ns,
    )


def test_empty_histogram_answers_zero_and_odd_percents_are_refused():
    histogram = Histogram()
    assert (histogram.percentile(99), histogram.max_ns, histogram.min_ns, histogram.count) == (
        0,
    ) * 4
    for percent in (-0.1, 100.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="allowed are 0 to 100"):
            histogram.percentile(percent)


def test_clock_never_runs_backwards():
    stamps = [monotonic_ns() for _ in range(1000)]
    assert stamps == sorted(stamps)


def test_probe_crosses_into_rust_and_back():
    assert probe(41) == 42
    assert probe(2**64 - 1) == 0
