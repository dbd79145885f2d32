"""The order state change matrices of FIX 4.4 volume 4, appendix D, as one table.

Each scenario is told as FIX tells it: one row a message, and after it ExecType(150), OrdStatus(39),
OrderQty(38), CumQty(14), LeavesQty(151) and AvgPx(6) of the order, then what this desk took the
message for: the verdict on a client's command, the disposition of a venue's report. References are
FIX 4.4's (A.1.a to L.1.a), those of FIX 4.2 (D1 to D37) stand beside them; a branch of a matrix
("if rejected") is a scenario of its own. The figures are the matrices', not this engine's output.

How the desk's table reads: `New(X)`, `Cancel(Y,X)`, `Replace(Y,X)` come from the client;
`Execution(Y)` is 35=8 with ClOrdID Y, `Reject(Y)` is 35=9. A venue's own pending acknowledgements
(150=6, 150=E) say nothing that the desk does not know, so the row of the command shows them.
Where the house differs from the matrix, the row says why:

* an order that fills while a cancel is pending is Filled at once: the fill won the race, and the
  35=9 "too late" behind it changes nothing (CORNERS 12);
* one change in flight at a time: a second replace is refused here, as by the seller of D.2.c.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import pytest

from pyoms.engine import Engine
from pyoms.numbers import to_fixed
from pyoms.records import record
from pyoms_core import layout
from pyoms_core.layout import CODES, NAMES, ONE

START_NS = 1_700_000_000_000_000_000
SMALL = {"orders_max": 64, "ids_max": 256, "fills_max": 256, "books_max": 0}

SCENARIOS = """
A.1.a D1 Filled order
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 2000@100          | trade            | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Execution(X) 1000@103          | trade            | partially_filled | 10000 | 3000  | 7000  | 101 | applied
Execution(X) 7000@101          | trade            | filled           | 10000 | 10000 | 0     | 101 | applied

A.1.a D1 Order that the venue rejects
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | rejected         | rejected         | 10000 | 0     | 0     | 0   | applied

A.1.a D1 Order acknowledged as pending new first
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | pending_new      | pending_new      | 10000 | 0     | 10000 | 0   | stale
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 10000@100         | trade            | filled           | 10000 | 10000 | 0     | 100 | applied

A.1.a D1 Filled before the acknowledgement arrives
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X) 2000@100          | trade            | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Execution(X)                   | new              | partially_filled | 10000 | 2000  | 8000  | 100 | stale
Execution(X) 8000@100          | trade            | filled           | 10000 | 10000 | 0     | 100 | applied
Execution(X)                   | new              | filled           | 10000 | 10000 | 0     | 100 | stale

A.1.a D1 Every report twice
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | stale
Execution(X) 4000@100 exec=B   | trade            | partially_filled | 10000 | 4000  | 6000  | 100 | applied
Execution(X) 4000@100 exec=B   | trade            | partially_filled | 10000 | 4000  | 6000  | 100 | duplicate
Execution(X) 6000@100 exec=C   | trade            | filled           | 10000 | 10000 | 0     | 100 | applied
Execution(X) 6000@100 exec=C   | trade            | filled           | 10000 | 10000 | 0     | 100 | duplicate

A.1.b D2 Part-filled day order, expired at the end of the day
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 2000@100          | trade            | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Execution(X)                   | expired          | expired          | 10000 | 2000  | 0     | 100 | applied

B.1.a D3 Cancel request issued for a zero-filled order
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Cancel(Y,X)                    | -                | pending_cancel   | 10000 | 0     | 10000 | 0   | accepted
Execution(Y)                   | canceled         | canceled         | 10000 | 0     | 0     | 0   | applied

B.1.a D3 Cancel request of a zero-filled order, rejected
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Cancel(Y,X)                    | -                | pending_cancel   | 10000 | 0     | 10000 | 0   | accepted
Reject(Y)                      | cancel_rejected  | new              | 10000 | 0     | 10000 | 0   | applied

B.1.b D4 Cancel request issued for a part-filled order, executions occur whilst it is active
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 2000@100          | trade            | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Cancel(Y,X)                    | -                | pending_cancel   | 10000 | 2000  | 8000  | 100 | accepted
Execution(X) 3000@100          | trade            | pending_cancel   | 10000 | 5000  | 5000  | 100 | applied
Execution(Y)                   | canceled         | canceled         | 10000 | 5000  | 0     | 100 | applied

B.1.b D4 Cancel request of a part-filled order, rejected after executions
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 2000@100          | trade            | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Cancel(Y,X)                    | -                | pending_cancel   | 10000 | 2000  | 8000  | 100 | accepted
Execution(X) 3000@100          | trade            | pending_cancel   | 10000 | 5000  | 5000  | 100 | applied
Reject(Y)                      | cancel_rejected  | partially_filled | 10000 | 5000  | 5000  | 100 | applied

B.1.c D5 Order becomes filled before the cancel request can be accepted
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 2000@100          | trade            | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Cancel(Y,X)                    | -                | pending_cancel   | 10000 | 2000  | 8000  | 100 | accepted
Execution(X) 5000@100          | trade            | pending_cancel   | 10000 | 7000  | 3000  | 100 | applied
Execution(X) 3000@100          | trade            | filled           | 10000 | 10000 | 0     | 100 | applied
Reject(Y)                      | cancel_rejected  | filled           | 10000 | 10000 | 0     | 100 | stale

B.1.d Cancel request issued for an order that has not yet been acknowledged
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Cancel(Y,X)                    | -                | pending_cancel   | 10000 | 0     | 10000 | 0   | accepted
Execution(Y)                   | canceled         | canceled         | 10000 | 0     | 0     | 0   | applied

B.1.d Cancel request before the acknowledgement, order rejected
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Cancel(Y,X)                    | -                | pending_cancel   | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | rejected         | rejected         | 10000 | 0     | 0     | 0   | applied
Reject(Y)                      | cancel_rejected  | rejected         | 10000 | 0     | 0     | 0   | stale

B.1.e The acknowledgement and the cancel request cross
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Cancel(Y,X)                    | -                | pending_cancel   | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | pending_cancel   | 10000 | 0     | 10000 | 0   | applied
Execution(Y)                   | canceled         | canceled         | 10000 | 0     | 0     | 0   | applied

B.1.e The acknowledgement and a cancel request cross, the request is rejected
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Cancel(Y,X)                    | -                | pending_cancel   | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | pending_cancel   | 10000 | 0     | 10000 | 0   | applied
Reject(Y)                      | cancel_rejected  | new              | 10000 | 0     | 10000 | 0   | applied

B.1.f Cancel request issued for an unknown order
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Cancel(Y,Q)                    | -                | pending_new      | 10000 | 0     | 10000 | 0   | order_unknown
New(Q) 500                     | -                | pending_new      | 500   | 0     | 500   | 0   | accepted

C.1.a D6 Zero-filled order, replace issued to increase order quantity
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Replace(Y,X) 11000             | -                | pending_replace  | 10000 | 0     | 10000 | 0   | accepted
Execution(Y)                   | replaced         | new              | 11000 | 0     | 11000 | 0   | applied
Execution(Y) 1000@100          | trade            | partially_filled | 11000 | 1000  | 10000 | 100 | applied
Execution(Y) 2000@100          | trade            | partially_filled | 11000 | 3000  | 8000  | 100 | applied

C.1.a D6 Zero-filled order, the replace is rejected
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Replace(Y,X) 11000             | -                | pending_replace  | 10000 | 0     | 10000 | 0   | accepted
Reject(Y)                      | replace_rejected | new              | 10000 | 0     | 10000 | 0   | applied

C.1.b D7 Part-filled order, replace to increase quantity, execution whilst pending replace
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 1000@100          | trade            | partially_filled | 10000 | 1000  | 9000  | 100 | applied
Replace(Y,X) 12000             | -                | pending_replace  | 10000 | 1000  | 9000  | 100 | accepted
Execution(X) 100@100           | trade            | pending_replace  | 10000 | 1100  | 8900  | 100 | applied
Execution(Y)                   | replaced         | partially_filled | 12000 | 1100  | 10900 | 100 | applied
Execution(Y) 10900@100         | trade            | filled           | 12000 | 12000 | 0     | 100 | applied

C.1.b D7 Part-filled order, the replace is rejected after the execution
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 1000@100          | trade            | partially_filled | 10000 | 1000  | 9000  | 100 | applied
Replace(Y,X) 12000             | -                | pending_replace  | 10000 | 1000  | 9000  | 100 | accepted
Execution(X) 100@100           | trade            | pending_replace  | 10000 | 1100  | 8900  | 100 | applied
Reject(Y)                      | replace_rejected | partially_filled | 10000 | 1100  | 8900  | 100 | applied

C.1.c D8 Filled order, the replace to more comes too late
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 10000@100         | trade            | filled           | 10000 | 10000 | 0     | 100 | applied
Replace(Y,X) 12000             | -                | filled           | 10000 | 10000 | 0     | 100 | order_closed

C.1.c D8 Order filled while the replace to more is on its way, the venue takes it
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Replace(Y,X) 12000             | -                | pending_replace  | 10000 | 0     | 10000 | 0   | accepted
Execution(X) 10000@100         | trade            | pending_replace  | 10000 | 10000 | 0     | 100 | applied
Execution(Y)                   | replaced         | partially_filled | 12000 | 10000 | 2000  | 100 | applied
Execution(Y) 2000@100          | trade            | filled           | 12000 | 12000 | 0     | 100 | applied

C.1.c D8 Order filled while the replace to more is on its way, the venue rejects it
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Replace(Y,X) 12000             | -                | pending_replace  | 10000 | 0     | 10000 | 0   | accepted
Execution(X) 10000@100         | trade            | pending_replace  | 10000 | 10000 | 0     | 100 | applied
Reject(Y)                      | replace_rejected | filled           | 10000 | 10000 | 0     | 100 | applied

C.2.a D9 Replace not for quantity is rejected as a fill has occurred
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 1000@100          | trade            | partially_filled | 10000 | 1000  | 9000  | 100 | applied
Replace(Y,X) 10000@101         | -                | pending_replace  | 10000 | 1000  | 9000  | 100 | accepted
Execution(X) 9000@100          | trade            | filled           | 10000 | 10000 | 0     | 100 | applied
Reject(Y)                      | replace_rejected | filled           | 10000 | 10000 | 0     | 100 | stale

C.3.a D10 Replace to less while an execution is reported, the new quantity exceeds CumQty
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Replace(Y,X) 8000              | -                | pending_replace  | 10000 | 0     | 10000 | 0   | accepted
Execution(X) 7000@100          | trade            | pending_replace  | 10000 | 7000  | 3000  | 100 | applied
Execution(Y)                   | replaced         | partially_filled | 8000  | 7000  | 1000  | 100 | applied
Execution(Y) 1000@100          | trade            | filled           | 8000  | 8000  | 0     | 100 | applied

C.3.b D11 Replace to less while an execution is reported, the new quantity equals CumQty
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Replace(Y,X) 7000              | -                | pending_replace  | 10000 | 0     | 10000 | 0   | accepted
Execution(X) 7000@100          | trade            | pending_replace  | 10000 | 7000  | 3000  | 100 | applied
Execution(Y)                   | replaced         | filled           | 7000  | 7000  | 0     | 100 | applied

C.3.c D12 Replace to less while an execution is reported, the new quantity is below CumQty
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Replace(Y,X) 7000              | -                | pending_replace  | 10000 | 0     | 10000 | 0   | accepted
Execution(X) 8000@100          | trade            | pending_replace  | 10000 | 8000  | 2000  | 100 | applied
Execution(Y) qty=8000          | replaced         | filled           | 8000  | 8000  | 0     | 100 | applied

D.1.a D13 One replace is accepted, then another one is accepted
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 1000@100          | trade            | partially_filled | 10000 | 1000  | 9000  | 100 | applied
Replace(Y,X) 8000              | -                | pending_replace  | 10000 | 1000  | 9000  | 100 | accepted
Execution(X) 500@100           | trade            | pending_replace  | 10000 | 1500  | 8500  | 100 | applied
Execution(Y)                   | replaced         | partially_filled | 8000  | 1500  | 6500  | 100 | applied
Execution(Y) 2000@100          | trade            | partially_filled | 8000  | 3500  | 4500  | 100 | applied
Replace(Z,Y) 6000              | -                | pending_replace  | 8000  | 3500  | 4500  | 100 | accepted
Execution(Y) 500@100           | trade            | pending_replace  | 8000  | 4000  | 4000  | 100 | applied
Execution(Z)                   | replaced         | partially_filled | 6000  | 4000  | 2000  | 100 | applied
Execution(Z) 2000@100          | trade            | filled           | 6000  | 6000  | 0     | 100 | applied

D.1.b D14 One replace is rejected, then another one is accepted
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 1000@100          | trade            | partially_filled | 10000 | 1000  | 9000  | 100 | applied
Replace(Y,X) 8000              | -                | pending_replace  | 10000 | 1000  | 9000  | 100 | accepted
Reject(Y)                      | replace_rejected | partially_filled | 10000 | 1000  | 9000  | 100 | applied
Execution(X) 500@100           | trade            | partially_filled | 10000 | 1500  | 8500  | 100 | applied
Execution(X) 2000@100          | trade            | partially_filled | 10000 | 3500  | 6500  | 100 | applied
Replace(Z,X) 6000              | -                | pending_replace  | 10000 | 3500  | 6500  | 100 | accepted
Execution(Z)                   | replaced         | partially_filled | 6000  | 3500  | 2500  | 100 | applied
Execution(Z) 1500@100          | trade            | partially_filled | 6000  | 5000  | 1000  | 100 | applied

D.1.c D15 One replace is rejected after executions, then another one is accepted
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 1000@100          | trade            | partially_filled | 10000 | 1000  | 9000  | 100 | applied
Replace(Y,X) 8000              | -                | pending_replace  | 10000 | 1000  | 9000  | 100 | accepted
Execution(X) 500@100           | trade            | pending_replace  | 10000 | 1500  | 8500  | 100 | applied
Reject(Y)                      | replace_rejected | partially_filled | 10000 | 1500  | 8500  | 100 | applied
Execution(X) 2000@100          | trade            | partially_filled | 10000 | 3500  | 6500  | 100 | applied
Replace(Z,X) 6000              | -                | pending_replace  | 10000 | 3500  | 6500  | 100 | accepted
Execution(Z)                   | replaced         | partially_filled | 6000  | 3500  | 2500  | 100 | applied
Execution(Z) 1500@100          | trade            | partially_filled | 6000  | 5000  | 1000  | 100 | applied

D.1.c D15 Both replaces are rejected, each restores what was
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 1000@100          | trade            | partially_filled | 10000 | 1000  | 9000  | 100 | applied
Replace(Y,X) 8000              | -                | pending_replace  | 10000 | 1000  | 9000  | 100 | accepted
Reject(Y)                      | replace_rejected | partially_filled | 10000 | 1000  | 9000  | 100 | applied
Replace(Z,X) 6000              | -                | pending_replace  | 10000 | 1000  | 9000  | 100 | accepted
Reject(Z)                      | replace_rejected | partially_filled | 10000 | 1000  | 9000  | 100 | applied
Reject(Y)                      | replace_rejected | partially_filled | 10000 | 1000  | 9000  | 100 | stale

D.2.c D17 One replace is followed immediately by another, the second is refused as one is pending
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 1000@100          | trade            | partially_filled | 10000 | 1000  | 9000  | 100 | applied
Replace(Y,X) 8000              | -                | pending_replace  | 10000 | 1000  | 9000  | 100 | accepted
Replace(Z,Y) 7000              | -                | pending_replace  | 10000 | 1000  | 9000  | 100 | replace_pending
Execution(Y)                   | replaced         | partially_filled | 8000  | 1000  | 7000  | 100 | applied
Execution(Y) 2000@100          | trade            | partially_filled | 8000  | 3000  | 5000  | 100 | applied

D.2.a D16 Chain X, Y, Z: the second replace follows the answer to the first at once
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 1000@100          | trade            | partially_filled | 10000 | 1000  | 9000  | 100 | applied
Replace(Y,X) 8000              | -                | pending_replace  | 10000 | 1000  | 9000  | 100 | accepted
Execution(Y)                   | replaced         | partially_filled | 8000  | 1000  | 7000  | 100 | applied
Replace(Z,Y) 7000              | -                | pending_replace  | 8000  | 1000  | 7000  | 100 | accepted
Execution(Z)                   | replaced         | partially_filled | 7000  | 1000  | 6000  | 100 | applied
Execution(Z) 6000@100          | trade            | filled           | 7000  | 7000  | 0     | 100 | applied

D.2.b Chain X, Y, Z: fills on the first and the middle id arrive after the last replace
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Replace(Y,X) 8000              | -                | pending_replace  | 10000 | 0     | 10000 | 0   | accepted
Execution(Y)                   | replaced         | new              | 8000  | 0     | 8000  | 0   | applied
Replace(Z,Y) 7000              | -                | pending_replace  | 8000  | 0     | 8000  | 0   | accepted
Execution(Z)                   | replaced         | new              | 7000  | 0     | 7000  | 0   | applied
Execution(X) 1000@100          | trade            | partially_filled | 7000  | 1000  | 6000  | 100 | applied
Execution(Y) 2000@100          | trade            | partially_filled | 7000  | 3000  | 4000  | 100 | applied
Execution(Z) 4000@100          | trade            | filled           | 7000  | 7000  | 0     | 100 | applied

D.2.d Cancel of an order that is pending replace, both are taken
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Replace(Y,X) 8000              | -                | pending_replace  | 10000 | 0     | 10000 | 0   | accepted
Cancel(Z,X)                    | -                | pending_cancel   | 10000 | 0     | 10000 | 0   | accepted
Execution(Y)                   | replaced         | pending_cancel   | 8000  | 0     | 8000  | 0   | applied
Execution(Z)                   | canceled         | canceled         | 8000  | 0     | 0     | 0   | applied

D.2.d Cancel of an order that is pending replace, both are rejected
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Replace(Y,X) 8000              | -                | pending_replace  | 10000 | 0     | 10000 | 0   | accepted
Cancel(Z,X)                    | -                | pending_cancel   | 10000 | 0     | 10000 | 0   | accepted
Reject(Z)                      | cancel_rejected  | pending_replace  | 10000 | 0     | 10000 | 0   | applied
Reject(Y)                      | replace_rejected | new              | 10000 | 0     | 10000 | 0   | applied

E.1.a D18 Telephoned order: a report for an order that this desk never sent
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(?)                   | new              | pending_new      | 10000 | 0     | 10000 | 0   | unknown_order
Execution(?) 1000@100          | trade            | pending_new      | 10000 | 0     | 10000 | 0   | unknown_order

E.1.b D19 Unsolicited cancel of a part-filled order
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 1000@100          | trade            | partially_filled | 10000 | 1000  | 9000  | 100 | applied
Execution(X)                   | canceled         | canceled         | 10000 | 1000  | 0     | 100 | applied

F.1.a D22 Order rejected due to duplicate ClOrdID
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
New(X) 15000                   | -                | new              | 10000 | 0     | 10000 | 0   | duplicate_id
Execution(X) 1000@100          | trade            | partially_filled | 10000 | 1000  | 9000  | 100 | applied

F.1.b D31 PossResend: the same order again is answered with its state, an unknown one is new
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
New(X) 10000                   | -                | new              | 10000 | 0     | 10000 | 0   | accepted
New(Y) 15000                   | -                | pending_new      | 15000 | 0     | 15000 | 0   | accepted
Execution(Y)                   | new              | new              | 15000 | 0     | 15000 | 0   | applied

F.1.c D23 Order rejected because it was already submitted verbally
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | rejected         | rejected         | 10000 | 0     | 0     | 0   | applied
Cancel(Y,X)                    | -                | rejected         | 10000 | 0     | 0     | 0   | order_closed

G.1.a D24 Order status request: the venue never had the order
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Lost(X)                        | -                | unknown          | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | unknown_order    | rejected         | 10000 | 0     | 0     | 0   | applied

G.1.b D25 Nothing done, in answer to a status request
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) told=new          | order_status     | new              | 10000 | 0     | 10000 | 0   | stale

G.1.c D26 Status requests during the life of the order
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X) told=new          | order_status     | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 2000@100          | trade            | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Execution(X) told=partially_filled | order_status | partially_filled | 10000 | 2000  | 8000  | 100 | stale
Execution(X) 8000@100          | trade            | filled           | 10000 | 10000 | 0     | 100 | applied
Execution(X) told=filled       | order_status     | filled           | 10000 | 10000 | 0     | 100 | stale

G.1.c D26 A status that counts a fill we do not have closes nothing until the fill is there
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) told=filled cum=10000 | order_status | new              | 10000 | 0     | 10000 | 0   | gap
Execution(X) 10000@100         | trade            | filled           | 10000 | 10000 | 0     | 100 | applied

G.1.c D26 Outcome unknown after a lost link, the status finds the order canceled
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Cancel(Y,X)                    | -                | pending_cancel   | 10000 | 0     | 10000 | 0   | accepted
Lost(X)                        | -                | unknown          | 10000 | 0     | 10000 | 0   | accepted
Execution(X) told=canceled     | order_status     | canceled         | 10000 | 0     | 0     | 0   | applied

I.1.a D32 Fill or kill order cannot be filled
New(X) 10000 fok               | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X)                   | canceled         | canceled         | 10000 | 0     | 0     | 0   | applied

I.1.a D32 Fill or kill order is killed without an acknowledgement
New(X) 10000 fok               | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | expired          | expired          | 10000 | 0     | 0     | 0   | applied

I.1.a D32 Fill or kill order is filled whole
New(X) 10000 fok               | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X) 10000@100         | trade            | filled           | 10000 | 10000 | 0     | 100 | applied

I.1.b D33 Immediate or cancel order that cannot be hit immediately
New(X) 10000 ioc               | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X)                   | canceled         | canceled         | 10000 | 0     | 0     | 0   | applied

I.1.b D33 Immediate or cancel order, a part is filled and the rest canceled
New(X) 10000 ioc               | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X) 1000@100          | trade            | partially_filled | 10000 | 1000  | 9000  | 100 | applied
Execution(X)                   | canceled         | canceled         | 10000 | 1000  | 0     | 100 | applied

I.1.b D33 Immediate or cancel order, the fill arrives behind the cancel
New(X) 10000 ioc               | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | canceled         | canceled         | 10000 | 0     | 0     | 0   | applied
Execution(X) 1000@100          | trade            | canceled         | 10000 | 1000  | 0     | 100 | late
Execution(X) 9000@110          | trade            | filled           | 10000 | 10000 | 0     | 109 | late

H.1.a D27 GTC order filled over two days, the exec id of yesterday is used again
New(X) 10000 gtc               | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 2000@100 exec=B   | trade            | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Day 2                          | -                | partially_filled | 10000 | 2000  | 8000  | 100 | accepted
Execution(X) 1000@103 exec=B   | trade            | partially_filled | 10000 | 3000  | 7000  | 101 | applied
Execution(X) 1000@103 exec=B   | trade            | partially_filled | 10000 | 3000  | 7000  | 101 | duplicate

K.1.a Trading halt: no new order and no replace, a cancel passes, then orders again
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Phase halted                   | -                | new              | 10000 | 0     | 10000 | 0   | accepted
Replace(Y,X) 12000             | -                | new              | 10000 | 0     | 10000 | 0   | market_closed
Cancel(Z,X)                    | -                | pending_cancel   | 10000 | 0     | 10000 | 0   | accepted
Execution(Z)                   | canceled         | canceled         | 10000 | 0     | 0     | 0   | applied
Phase open                     | -                | canceled         | 10000 | 0     | 0     | 0   | accepted
New(A) 500                     | -                | pending_new      | 500   | 0     | 500   | 0   | accepted

K.1.a Trading halt: an order on the way is rejected by the venue
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Phase halted                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | rejected         | rejected         | 10000 | 0     | 0     | 0   | applied

A.1.b D2 Part-filled day order, done for day
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 2000@100          | trade            | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Execution(X) 1000@100          | trade            | partially_filled | 10000 | 3000  | 7000  | 100 | applied
Execution(X)                   | done_for_day     | done_for_day     | 10000 | 3000  | 7000  | 100 | applied

E.1.c D20 Unsolicited replacement of an order, twice
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X)                   | restated         | new              | 11000 | 0     | 11000 | 0   | applied
Execution(X) 1000@100          | trade            | partially_filled | 11000 | 1000  | 10000 | 100 | applied
Execution(X)                   | restated         | partially_filled | 12000 | 1000  | 11000 | 100 | applied

E.1.d D21 Unsolicited reduction of order quantity by the seller
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X)                   | restated         | new              | 9000  | 0     | 9000  | 0   | applied
Execution(X) 9000@100          | trade            | filled           | 9000  | 9000  | 0     | 100 | applied

H.1.a D27 GTC order partially filled, renewed and partially filled the following day
New(X) 10000 gtc               | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 2000@100          | trade            | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Execution(X)                   | done_for_day     | done_for_day     | 10000 | 2000  | 8000  | 100 | applied
Execution(X)                   | restated         | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Execution(X) 1000@100          | trade            | partially_filled | 10000 | 3000  | 7000  | 100 | applied

H.1.b D28 GTC order with a partial fill, a 2:1 stock split told as a correct and new terms, then filled
New(X) 10000@50 gtc            | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 2000@50           | trade            | partially_filled | 10000 | 2000  | 8000  | 50  | applied
Execution(X)                   | done_for_day     | done_for_day     | 10000 | 2000  | 8000  | 50  | applied
Execution(X) 4000@25 ref=R2    | trade_correct    | done_for_day     | 10000 | 4000  | 6000  | 25  | applied
Execution(X) px=25             | restated         | partially_filled | 20000 | 4000  | 16000 | 25  | applied
Execution(X) 5000@25           | trade            | partially_filled | 20000 | 9000  | 11000 | 25  | applied
Execution(X) 11000@25          | trade            | filled           | 20000 | 20000 | 0     | 25  | applied

H.1.c D29 GTC order partially filled, renewed and canceled the following day
New(X) 10000 gtc               | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 2000@100          | trade            | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Execution(X)                   | done_for_day     | done_for_day     | 10000 | 2000  | 8000  | 100 | applied
Execution(X)                   | restated         | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Cancel(Y,X)                    | -                | pending_cancel   | 10000 | 2000  | 8000  | 100 | accepted
Execution(Y)                   | canceled         | canceled         | 10000 | 2000  | 0     | 100 | applied

H.1.d D30 GTC order partially filled, renewed, replaced to more while a fill comes
New(X) 10000 gtc               | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 2000@100          | trade            | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Execution(X)                   | done_for_day     | done_for_day     | 10000 | 2000  | 8000  | 100 | applied
Execution(X)                   | restated         | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Replace(Y,X) 15000             | -                | pending_replace  | 10000 | 2000  | 8000  | 100 | accepted
Execution(X) 1000@100          | trade            | pending_replace  | 10000 | 3000  | 7000  | 100 | applied
Execution(Y)                   | replaced         | partially_filled | 15000 | 3000  | 12000 | 100 | applied

J.1.a D34 Filled order, followed by correction and cancellation of executions
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 1000@100 exec=C   | trade            | partially_filled | 10000 | 1000  | 9000  | 100 | applied
Execution(X) 9000@110 exec=D   | trade            | filled           | 10000 | 10000 | 0     | 109 | applied
Execution(X) exec=E ref=C      | trade_cancel     | partially_filled | 10000 | 9000  | 1000  | 110 | late
Execution(X) 9000@100 exec=F ref=D | trade_correct | partially_filled | 10000 | 9000  | 1000  | 100 | applied
Execution(X) 1000@120 exec=G   | trade            | filled           | 10000 | 10000 | 0     | 102 | applied
Execution(X) 9000@120 exec=H ref=F | trade_correct | filled          | 10000 | 10000 | 0     | 120 | late

J.1.b D35 A canceled order followed by a busted execution and a new execution
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 5000@50 exec=B    | trade            | partially_filled | 10000 | 5000  | 5000  | 50  | applied
Cancel(Y,X)                    | -                | pending_cancel   | 10000 | 5000  | 5000  | 50  | accepted
Execution(Y)                   | canceled         | canceled         | 10000 | 5000  | 0     | 50  | applied
Execution(X) exec=E ref=B      | trade_cancel     | canceled         | 10000 | 0     | 0     | 0   | late
Execution(X) 4000@51 exec=F    | trade            | canceled         | 10000 | 4000  | 0     | 51  | late

J.1.c D36 GTC order filled on two days, with corrections of quantity on both executions
New(X) 10000 gtc               | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 2000@100 exec=B   | trade            | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Execution(X) exec=C            | done_for_day     | done_for_day     | 10000 | 2000  | 8000  | 100 | applied
Day 2                          | -                | done_for_day     | 10000 | 2000  | 8000  | 100 | accepted
Execution(X) exec=D            | restated         | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Execution(X) 1000@100 exec=E   | trade            | partially_filled | 10000 | 3000  | 7000  | 100 | applied
Execution(X) 1500@100 exec=F ref=B | trade_correct | partially_filled | 10000 | 2500 | 7500  | 100 | applied
Execution(X) 500@100 exec=G ref=E | trade_correct | partially_filled | 10000 | 2000  | 8000  | 100 | applied

K.1.a Trading halt: the venue suspends the order and takes it up again
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X)                   | suspended        | suspended        | 10000 | 0     | 10000 | 0   | applied
Execution(X) told=new          | restated         | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 10000@100         | trade            | filled           | 10000 | 10000 | 0     | 100 | applied

J.1.a D34 The last execution is busted and the venue still works the rest
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 4000@100 exec=C   | trade            | partially_filled | 10000 | 4000  | 6000  | 100 | applied
Execution(X) 6000@110 exec=D   | trade            | filled           | 10000 | 10000 | 0     | 106 | applied
Execution(X) exec=E ref=D      | trade_cancel     | partially_filled | 10000 | 4000  | 6000  | 100 | late
Execution(X) exec=E ref=D      | trade_cancel     | partially_filled | 10000 | 4000  | 6000  | 100 | duplicate
Execution(X) 6000@90 exec=F    | trade            | filled           | 10000 | 10000 | 0     | 94  | applied

J.1.a D34 The last execution is busted and the venue works nothing any more
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 4000@100 exec=C   | trade            | partially_filled | 10000 | 4000  | 6000  | 100 | applied
Execution(X) 6000@110 exec=D   | trade            | filled           | 10000 | 10000 | 0     | 106 | applied
Execution(X) exec=E ref=D      | trade_cancel     | canceled         | 10000 | 4000  | 0     | 100 | late

J.1.a D34 A bust of an execution that is not known, and a correct of one that was busted
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 4000@100 exec=C   | trade            | partially_filled | 10000 | 4000  | 6000  | 100 | applied
Execution(X) exec=E ref=Q      | trade_cancel     | partially_filled | 10000 | 4000  | 6000  | 100 | unknown_exec
Execution(X) exec=F ref=C      | trade_cancel     | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 5000@100 exec=G ref=C | trade_correct | new             | 10000 | 0     | 10000 | 0   | unknown_exec

B.1.b D4 The order expires at the venue while its cancel is on its way
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 2000@100          | trade            | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Cancel(Y,X)                    | -                | pending_cancel   | 10000 | 2000  | 8000  | 100 | accepted
Execution(X)                   | expired          | expired          | 10000 | 2000  | 0     | 100 | applied
Reject(Y)                      | cancel_rejected  | expired          | 10000 | 2000  | 0     | 100 | stale

E.1.b D19 The venue restates the order as canceled by itself
New(X) 10000 gtc               | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 2000@100          | trade            | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Execution(X) told=canceled     | restated         | canceled         | 10000 | 2000  | 0     | 100 | applied

H.1.c D29 GTC order done for the day and canceled at the venue over night
New(X) 10000 gtc               | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 2000@100          | trade            | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Execution(X)                   | done_for_day     | done_for_day     | 10000 | 2000  | 8000  | 100 | applied
Execution(X) 1000@100          | trade            | done_for_day     | 10000 | 3000  | 7000  | 100 | late
Day 2                          | -                | done_for_day     | 10000 | 3000  | 7000  | 100 | accepted
Execution(X)                   | canceled         | canceled         | 10000 | 3000  | 0     | 100 | applied

K.1.a Trading halt: a suspended order is canceled
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 2000@100          | trade            | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Execution(X)                   | suspended        | suspended        | 10000 | 2000  | 8000  | 100 | applied
Cancel(Y,X)                    | -                | pending_cancel   | 10000 | 2000  | 8000  | 100 | accepted
Reject(Y)                      | cancel_rejected  | suspended        | 10000 | 2000  | 8000  | 100 | applied
Cancel(Z,X)                    | -                | pending_cancel   | 10000 | 2000  | 8000  | 100 | accepted
Execution(Z)                   | canceled         | canceled         | 10000 | 2000  | 0     | 100 | applied

H.2 Good till date: the timer asks for a cancel, the venue says that it has expired
Gtd(X) 10000 5s                | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 2000@100          | trade            | partially_filled | 10000 | 2000  | 8000  | 100 | applied
Time 4                         | -                | partially_filled | 10000 | 2000  | 8000  | 100 | accepted
Time 1                         | -                | pending_cancel   | 10000 | 2000  | 8000  | 100 | accepted
Execution(X)                   | expired          | expired          | 10000 | 2000  | 0     | 100 | applied

H.2 Good till date: a fill at the instant of the expiry wins, and one behind it is kept
Gtd(X) 10000 5s                | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Time 5                         | -                | pending_cancel   | 10000 | 0     | 10000 | 0   | accepted
Execution(X) 4000@100          | trade            | pending_cancel   | 10000 | 4000  | 6000  | 100 | applied
Execution(X)                   | expired          | expired          | 10000 | 4000  | 0     | 100 | applied
Execution(X) 1000@100          | trade            | expired          | 10000 | 5000  | 0     | 100 | late
Execution(X) 5000@100          | trade            | filled           | 10000 | 10000 | 0     | 100 | late

M.1 Stop order: held here, a trade at its stop sends it, once
Stop(X) 10000@105              | -                | held             | 10000 | 0     | 10000 | 0   | accepted
Market 104.99                  | -                | held             | 10000 | 0     | 10000 | 0   | accepted
Market 105                     | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Market 106                     | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X) 10000@106         | trade            | filled           | 10000 | 10000 | 0     | 106 | applied

M.1 Stop order: replaced and canceled before its trigger, no venue hears of it
Stop(X) 10000@105              | -                | held             | 10000 | 0     | 10000 | 0   | accepted
Replace(Y,X) 12000@0           | -                | held             | 12000 | 0     | 12000 | 0   | accepted
Execution(X) 12000@105         | trade            | held             | 12000 | 0     | 12000 | 0   | outside_table
Cancel(Z,Y)                    | -                | canceled         | 12000 | 0     | 0     | 0   | accepted
Market 106                     | -                | canceled         | 12000 | 0     | 0     | 0   | accepted

M.1 Stop order: the venue rejects it after its trigger
Stop(X) 10000@105              | -                | held             | 10000 | 0     | 10000 | 0   | accepted
Market 105                     | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | rejected         | rejected         | 10000 | 0     | 0     | 0   | applied
Market 106                     | -                | rejected         | 10000 | 0     | 0     | 0   | accepted

M.1 Stop order: met while trading is halted, it is rejected here and its id is not burnt for a venue
Stop(X) 10000@105              | -                | held             | 10000 | 0     | 10000 | 0   | accepted
Phase halted                   | -                | held             | 10000 | 0     | 10000 | 0   | accepted
Market 105                     | -                | rejected         | 10000 | 0     | 0     | 0   | accepted

L.1.a D37 Transmitting a guarantee of execution prior to execution (stopped)
New(X) 10000                   | -                | pending_new      | 10000 | 0     | 10000 | 0   | accepted
Execution(X)                   | new              | new              | 10000 | 0     | 10000 | 0   | applied
Execution(X)                   | stopped          | stopped          | 10000 | 0     | 10000 | 0   | applied
Execution(X) 1000@50           | trade            | stopped          | 10000 | 1000  | 9000  | 50  | applied
"""


def scenarios() -> list[Any]:
    """Split the table: (title, rows of eight texts)."""
    found = []
    for block in SCENARIOS.strip().split("\n\n"):
        title, *lines = block.strip().splitlines()
        rows = [tuple(cell.strip() for cell in line.split("|")) for line in lines]
        assert all(len(row) == 8 for row in rows), title
        found.append(pytest.param(rows, id=title.replace(" ", "-")))
    return found


class Story:
    """One desk and the ids of one scenario."""

    def __init__(self) -> None:
        self.oms = Engine(now_ns=START_NS, ring_slots=1 << 13, **SMALL)
        self.oms.define_account("A1")
        self.oms.define_instrument("STK", tick="0.01", flags=layout.FLAG_NO_BAND)
        self.order_seq = 0
        self.price = 100 * ONE
        self.street: dict[str, str] = {"?": "0001ZZZZZZZZZZ000"}
        self.orders: dict[str, int] = {}
        self.asked: dict[str, str] = {}
        self.exec_ids = 0

    def take(self, row: tuple[str, ...]) -> str:
        """Take one row's message; what it was taken for."""
        message, exec_type, told, order_qty, cum_qty, leaves_qty, *_ = row
        match = re.match(r"(\w+)(?:\(([^)]*)\))?\s*(.*)", message)
        assert match is not None, message
        verb, ids, rest = match.groups()
        words = rest.split()
        options = dict(word.split("=") for word in words if "=" in word)
        plain = [word for word in words if "=" not in word]
        if verb in ("Execution", "Reject"):
            options.setdefault("avg", row[6])
            return self.report(ids, exec_type, told, cum_qty, leaves_qty, order_qty, plain, options)
        return str(getattr(self, verb.lower())(ids, plain))

    def new(self, cl_ord_id: str, words: list[str]) -> str:
        qty, _, price = words[0].partition("@")
        verdict = self.oms.submit(
            "STK",
            "buy",
            int(qty),
            price or "100",
            cl_ord_id=cl_ord_id,
            time_in_force=words[1] if len(words) > 1 else "day",
        )
        if verdict and cl_ord_id not in self.orders:
            self.order_seq = self.orders[cl_ord_id] = verdict.order_seq
            self.learn(cl_ord_id)
        return verdict.name

    def cancel(self, ids: str, words: list[str]) -> str:
        own, orig = ids.split(",")
        verdict = self.oms.cancel(orig, cl_ord_id=own)
        self.changed(own, verdict)
        return verdict.name

    def replace(self, ids: str, words: list[str]) -> str:
        own, orig = ids.split(",")
        qty, _, price = words[0].partition("@")
        verdict = self.oms.replace(orig, price=price or "100", qty=int(qty), cl_ord_id=own)
        self.changed(own, verdict)
        return verdict.name

    def changed(self, own: str, verdict: Any) -> None:
        if verdict:
            self.learn(own)

    def learn(self, cl_ord_id: str) -> None:
        """Remember the street id of the message that just went out."""
        sent = self.oms.outbox()[-1:]  # what is held here sends nothing
        self.street[cl_ord_id] = (
            bytes(sent["street_id"][0]).decode().rstrip("\0") if len(sent) else ""
        )

    def lost(self, cl_ord_id: str, words: list[str]) -> str:
        self.oms.take("outcome_unknown", order_seq=self.orders[cl_ord_id], venue_id=1)
        return "accepted"

    def phase(self, ids: None, words: list[str]) -> str:
        self.oms.set_phase("SIM", words[0])
        return "accepted"

    def day(self, ids: None, words: list[str]) -> str:
        self.oms.take("day_change", venue_id=1, trade_day=int(words[0]), opened=1)
        return "accepted"

    def stop(self, cl_ord_id: str, words: list[str]) -> str:
        qty, _, stop_px = words[0].partition("@")
        return self.with_terms(cl_ord_id, qty, "stop", "day", stop_px=to_fixed(stop_px, "stop_px"))

    def gtd(self, cl_ord_id: str, words: list[str]) -> str:
        expire_time_ns = START_NS + int(words[1].removesuffix("s")) * ONE
        return self.with_terms(cl_ord_id, words[0], "limit", "gtd", expire_time_ns=expire_time_ns)

    def with_terms(
        self, cl_ord_id: str, qty: str, ord_type: str, time_in_force: str, **terms: int
    ) -> str:
        """Offer the terms and send the order that carries them."""
        self.oms.take("order_terms", session_id=1, **terms)
        verdict = self.oms.core.step(
            record(
                "new_order",
                cl_ord_id=cl_ord_id,
                instrument_id=1,
                account_id=1,
                session_id=1,
                price=100 * ONE if ord_type == "limit" else 0,
                order_qty=int(qty) * ONE,
                side=CODES["side"]["buy"].code,
                ord_type=CODES["ord_type"][ord_type].code,
                time_in_force=CODES["time_in_force"][time_in_force].code,
                tags=layout.TAG_TERMS,
            )
        )
        (order,) = self.oms.core.orders()
        self.order_seq = self.orders[cl_ord_id] = order["order_seq"]
        self.street[cl_ord_id] = order["street_id"]
        return NAMES["verdict"][verdict]

    def market(self, ids: None, words: list[str]) -> str:
        action = CODES["book_action"]["trade"].code
        price = to_fixed(words[0], "price")
        self.oms.take("book_update", instrument_id=1, price=price, action=action, qty=ONE)
        return "accepted"

    def time(self, ids: None, words: list[str]) -> str:
        self.oms.now_ns += int(words[0]) * ONE
        self.oms.take("time_input")
        return "accepted"

    def report(
        self,
        cl_ord_id: str,
        exec_type: str,
        status: str,
        cum_qty: str,
        leaves_qty: str,
        order_qty: str,
        words: list[str],
        options: dict[str, str],
    ) -> str:
        """Say the venue's word; CumQty, LeavesQty and AvgPx are the row's, as in the matrix."""
        last_qty, _, last_px = words[0].partition("@") if words else ("0", "", "0")
        self.exec_ids += 1
        told = options.get("told", status)
        if told == "unknown" or exec_type == "unknown_order":
            told = "rejected"
        exec_id = options.get("exec", f"R{self.exec_ids}")
        average = to_fixed(options["avg"], "avg_px")
        ids: dict[str, Any] = {"exec_id": exec_id, "exec_ref_id": options.get("ref", "")}
        self.oms.take("exec_ref", venue_id=1, avg_px=average, **ids)
        trade = exec_type.startswith("trade")
        told_qty = options.get("qty", order_qty)
        taken = self.oms.core.report(
            record(
                "execution_report",
                street_id=self.street[cl_ord_id],
                exec_id=exec_id,
                venue_id=1,
                exec_type=CODES["exec_type"][exec_type].code,
                ord_status=CODES["ord_status"][told].code,
                last_qty=int(last_qty if trade else told_qty) * ONE,
                last_px=to_fixed(last_px if trade else options.get("px", "0"), "last_px"),
                cum_qty=int(options.get("cum", cum_qty)) * ONE,
                leaves_qty=int(leaves_qty) * ONE,
                transact_time_ns=START_NS,
            )
        )
        return NAMES["disposition"][taken]


@pytest.mark.parametrize("rows", scenarios())
def test_order_state_follows_the_matrix(rows: list[tuple[str, ...]]) -> None:
    story = Story()
    for number, row in enumerate(rows, 1):
        taken = story.take(row)
        order = story.oms.order(story.order_seq)
        assert order is not None
        cum = Fraction(order["cum_qty"], ONE)
        average = Fraction(order["cum_points"], ONE * order["cum_qty"]) if cum else Fraction(0)
        shown = (
            order["ord_status"],
            Fraction(order["order_qty"], ONE),
            cum,
            Fraction(order["leaves_qty"], ONE),
            average,
            taken,
        )
        _, _, status, *numbers, expected = row
        assert shown == (status, *map(Fraction, numbers), expected), f"row {number}: {row[0]}"
    if not any("cum=" in row[0] for row in rows):
        asked = story.oms.outbox()["msg_type"] == CODES["msg_type"]["order_status"].code
        assert not asked.any(), "every sum and every average of the matrix is ours"


def test_there_are_at_least_fifty_scenarios_each_with_its_own_title() -> None:
    titles = [scenario.id for scenario in scenarios()]
    assert len(titles) >= 50
    assert len(set(titles)) == len(titles)
