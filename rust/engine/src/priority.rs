//! What keeps an order's place in a venue's queue, as data: a row for each rule and field that a change
//! may touch. A venue's definition names its rule; the answer to a replace says what follows. Nothing is
//! decided by it. Written as a page by the bin `queues`; called by the pipeline.

use crate::Order;
use arch::mutant;
use layout::{QueuePriority, QueueRule};
use std::fmt::Write;

/// What a change touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Price(44) nearer to the other side.
    PriceNearer,
    /// Price(44) farther from the other side.
    PriceFarther,
    /// OrderQty(38) up.
    QuantityUp,
    /// OrderQty(38) down.
    QuantityDown,
    /// Account(1).
    Account,
    /// OrdType(40).
    Type,
    /// StopPx(99).
    StopPrice,
}

use Field::{Account, PriceFarther, PriceNearer, QuantityDown, QuantityUp, StopPrice, Type};
use QueuePriority::{Kept, Lost};

/// Each rule, what it keeps, and all else that it loses.
#[rustfmt::skip]
pub const ROWS: &[(QueueRule, Field, QueuePriority)] = &[
    (QueueRule::QuantityDown, PriceNearer, Lost),
    (QueueRule::QuantityDown, PriceFarther, Lost),
    (QueueRule::QuantityDown, QuantityUp, Lost),
    (QueueRule::QuantityDown, QuantityDown, Kept),
    (QueueRule::QuantityDown, Account, Lost),
    (QueueRule::QuantityDown, Type, Lost),
    (QueueRule::QuantityDown, StopPrice, Lost),
    (QueueRule::Away, PriceNearer, Lost),
    (QueueRule::Away, PriceFarther, Kept),
    (QueueRule::Away, QuantityUp, Lost),
    (QueueRule::Away, QuantityDown, Kept),
    (QueueRule::Away, Account, Lost),
    (QueueRule::Away, Type, Lost),
    (QueueRule::Away, StopPrice, Lost),
    (QueueRule::None, PriceNearer, Lost),
    (QueueRule::None, PriceFarther, Lost),
    (QueueRule::None, QuantityUp, Lost),
    (QueueRule::None, QuantityDown, Lost),
    (QueueRule::None, Account, Lost),
    (QueueRule::None, Type, Lost),
    (QueueRule::None, StopPrice, Lost),
];

/// What a change of one field means; a venue whose rule is not told says nothing.
pub fn of_field(rule: u8, field: Field) -> QueuePriority {
    let row = ROWS.iter().find(|row| row.0 as u8 == rule && row.1 == field);
    row.map_or(QueuePriority::Untold, |row| row.2)
}

/// What new terms of an order mean for its place: the worst of all they touch.
pub fn of_replace(rule: u8, order: &Order, price: i64, order_qty: i64) -> QueuePriority {
    mutant!(every_replace_keeps_its_place => return Kept);
    let nearer = (price > order.price) == order.is_buy();
    let touched = [
        (price != order.price).then_some(if nearer { PriceNearer } else { PriceFarther }),
        (order_qty > order.order_qty).then_some(QuantityUp),
        (order_qty < order.order_qty).then_some(QuantityDown),
    ];
    let worst = |a: QueuePriority, b: QueuePriority| match (a, b) {
        (Lost, _) | (_, Lost) => Lost,
        (QueuePriority::Untold, _) | (_, QueuePriority::Untold) => QueuePriority::Untold,
        _ => Kept,
    };
    let fields = touched.into_iter().flatten().map(|field| of_field(rule, field));
    fields.reduce(worst).unwrap_or(QueuePriority::Untold)
}

/// The page docs/queue-priority.md.
pub fn page() -> String {
    let mut out = String::from(
        "# Queue priority\n\n\
         Written by `make docs` from the table of `rust/engine/src/priority.rs`; never edited. A venue's\n\
         `queue_rule` names the rule, and the event that accepts a replace says what follows in\n\
         `priority`: `kept`, `lost`, or `untold` where the venue's rule is not known. A replace that\n\
         touches two fields loses its place when one of them does; one that goes as a cancel and a new\n\
         order always does.\n\n\
         | rule | change | place in the queue |\n|---|---|---|\n",
    );
    for (rule, field, priority) in ROWS {
        let field = crate::states::words(field);
        writeln!(out, "| {} | {field} | {} |", rule.name(), priority.name()).expect("memory");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_page_is_the_tables() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/queue-priority.md");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == page(), "docs/queue-priority.md: run make docs");
    }

    #[test]
    fn every_rule_that_is_told_says_something_of_every_field_once() {
        let fields =
            [PriceNearer, PriceFarther, QuantityUp, QuantityDown, Account, Type, StopPrice];
        for &rule in QueueRule::ALL.iter().filter(|&&rule| rule != QueueRule::Untold) {
            for field in fields {
                let rows = ROWS.iter().filter(|row| row.0 == rule && row.1 == field);
                assert_eq!(rows.count(), 1, "{rule:?} {field:?}");
            }
        }
        assert_eq!(of_field(QueueRule::Untold as u8, QuantityDown), QueuePriority::Untold);
        assert_eq!(of_field(200, QuantityDown), QueuePriority::Untold, "a code that is none");
    }

    /// CME Globex: price, quantity up, account, type and stop price lose it; quantity down keeps it.
    #[test]
    fn the_worst_of_what_a_replace_touches_is_told() {
        let order = |side: layout::Side| Order {
            order_seq: 1,
            side: side as u8,
            price: 100,
            order_qty: 10,
            ..Order::default()
        };
        let buy = order(layout::Side::Buy);
        let sell = order(layout::Side::Sell);
        let cases = [
            (QueueRule::QuantityDown, &buy, 100, 9, Kept),
            (QueueRule::QuantityDown, &buy, 100, 11, Lost),
            (QueueRule::QuantityDown, &buy, 99, 9, Lost),
            (QueueRule::Away, &buy, 99, 9, Kept),
            (QueueRule::Away, &buy, 101, 9, Lost),
            (QueueRule::Away, &buy, 99, 11, Lost),
            (QueueRule::Away, &sell, 101, 10, Kept),
            (QueueRule::Away, &sell, 99, 10, Lost),
            (QueueRule::None, &sell, 100, 9, Lost),
            (QueueRule::Untold, &sell, 100, 9, QueuePriority::Untold),
        ];
        for (rule, order, price, qty, told) in cases {
            assert_eq!(of_replace(rule as u8, order, price, qty), told, "{rule:?} {price} {qty}");
        }
    }
}
