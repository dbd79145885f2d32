"""Fixed point at 1e-9: exact both ways, and what cannot be exact is refused."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyoms.errors import NumberError
from pyoms.numbers import FIXED_MAX, to_fixed, to_text

FIXED = st.integers(-FIXED_MAX, FIXED_MAX)


@given(FIXED)
def test_text_and_fixed_point_are_inverse(fixed):
    assert to_fixed(to_text(fixed)) == fixed


@given(FIXED)
def test_text_is_the_exact_value_in_its_shortest_form(fixed):
    text = to_text(fixed)
    assert Fraction(text) == Fraction(fixed, 10**9)
    assert not ("." in text and text.endswith(("0", ".")))


@given(st.integers(-(10**12), 10**12), st.text("0123456789", min_size=0, max_size=12))
def test_text_is_taken_exactly_or_refused(whole, decimals):
    text = f"{whole}.{decimals}" if decimals else str(whole)
    fits = len(decimals) <= 9 and abs(Fraction(text) * 10**9) <= FIXED_MAX
    if fits:
        assert to_fixed(text) == Fraction(text) * 10**9
        assert to_fixed(Decimal(text)) == to_fixed(text)
    else:
        with pytest.raises(NumberError):
            to_fixed(text)


@given(st.floats())
def test_no_float_passes(number):
    with pytest.raises(NumberError, match="is a float"):
        to_fixed(number)


@given(st.text(max_size=70))
def test_any_text_is_a_number_or_a_number_error(text):
    try:
        fixed = to_fixed(text)
    except NumberError:
        return
    assert Fraction(text) == Fraction(fixed, 10**9)


@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("1.0000000000", "has 10 decimals, at most 9"),
        ("9223372036.854775808", "at most ±9223372036.854775807"),
        (-9223372037, "-9223372037 is out of range"),
        ("nan", "not a decimal number"),
        ("inf", "not a decimal number"),
        ("1e3", "not a decimal number"),
        ("1,000", "not a decimal number"),
        ("1_000", "not a decimal number"),
        (" 1", "not a decimal number"),
        ("١", "not a decimal number"),  # noqa: RUF001  an Arabic digit
        ("", "not a decimal number"),
        (Decimal("NaN"), "not a number within"),
        (Decimal("-Infinity"), "not a number within"),
        (Decimal("1e999999"), "not a number within"),
        (True, "is a bool"),
        (None, "is a NoneType"),
        (2**200, "of 201 bits"),
    ],
)
def test_what_is_not_exact_is_refused_with_its_value(number, told):
    with pytest.raises(NumberError, match="price") as caught:
        to_fixed(number, "price")
    assert told in str(caught.value)
