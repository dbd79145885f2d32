"""Prices and quantities between text and fixed point: `i64` at 1e-9, exactly, both ways.

Called wherever a number enters or leaves the desk: configuration, commands, reports, strategies.
The rule itself is `pyoms_core.fixed`, so that the gate holds the same one; this is its public name.
"""

from __future__ import annotations

from decimal import Decimal

from pyoms_core.fixed import FIXED_MAX, Fixed, fixed, to_fixed, to_text, whole

__all__ = ["FIXED_MAX", "Fixed", "Number", "fixed", "to_fixed", "to_text", "whole"]

Number = str | int | Decimal | float
"""What a price or quantity may be given as; an int counts whole units."""
