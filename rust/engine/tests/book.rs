//! Claims about the shadow book, on public names alone: random operations against a naive model of
//! sorted maps, then one test per rule and refusal.

use std::collections::BTreeMap;

use engine::book::{Book, BookFault, BookOrder, Level};
use layout::{BOOK_LAST, BookAction, BookUpdate, Header, Side};
use proptest::prelude::*;

fn update(action: BookAction, order_ref: u64, side: u8, price: i64, qty: i64) -> BookUpdate {
    BookUpdate {
        header: Header { kind: BookUpdate::KIND, ..Header::ZERO },
        action: action.code(),
        order_ref,
        side,
        price,
        qty,
        ..BookUpdate::ZERO
    }
}

/// The same rules with a queue of (order, size) per side and price.
#[derive(Default)]
struct Model {
    queues: BTreeMap<(u8, i64), Vec<(u64, i64)>>,
    orders_max: usize,
    levels_max: usize,
}

impl Model {
    fn place(&self, order_ref: u64) -> Option<((u8, i64), usize)> {
        self.queues.iter().find_map(|(&key, queue)| {
            queue.iter().position(|&(r, _)| r == order_ref).map(|i| (key, i))
        })
    }

    fn room(&self, key: (u8, i64)) -> bool {
        self.queues.contains_key(&key)
            || self.queues.keys().filter(|k| k.0 == key.0).count() < self.levels_max
    }

    fn apply(&mut self, u: &BookUpdate) -> Result<(), BookFault> {
        let found = self.place(u.order_ref);
        match BookAction::from_code(u.action) {
            Some(BookAction::Add) => {
                if u.side != 1 && u.side != 2 {
                    return Err(BookFault::BadSide);
                }
                if found.is_some() {
                    return Err(BookFault::DuplicateOrder);
                }
                if u.qty <= 0 {
                    return Err(BookFault::BadQty);
                }
                if self.queues.values().map(Vec::len).sum::<usize>() == self.orders_max {
                    return Err(BookFault::BookFull);
                }
                if !self.room((u.side, u.price)) {
                    return Err(BookFault::LevelsFull);
                }
                self.queues.entry((u.side, u.price)).or_default().push((u.order_ref, u.qty));
            }
            Some(action @ (BookAction::Modify | BookAction::Cancel)) => {
                let Some((key, i)) = found else { return Err(BookFault::UnknownOrder) };
                if u.side != 0 && u.side != key.0 {
                    return Err(BookFault::BadSide);
                }
                if u.qty <= 0 {
                    return Err(BookFault::BadQty);
                }
                let queue = self.queues.get_mut(&key).unwrap();
                if action == BookAction::Cancel {
                    queue[i].1 -= u.qty;
                    if queue[i].1 <= 0 {
                        queue.remove(i);
                    }
                } else if u.price == key.1 && u.qty <= queue[i].1 {
                    queue[i].1 = u.qty;
                } else {
                    if !self.room((key.0, u.price)) {
                        return Err(BookFault::LevelsFull);
                    }
                    self.queues.get_mut(&key).unwrap().remove(i);
                    self.queues.entry((key.0, u.price)).or_default().push((u.order_ref, u.qty));
                }
                self.queues.retain(|_, queue| !queue.is_empty());
            }
            Some(BookAction::Clear) => self.queues.clear(),
            Some(_) => {}
            None => return Err(BookFault::BadAction),
        }
        Ok(())
    }

    fn levels(&self, side: u8) -> Vec<Level> {
        let level = |(key, queue): (&(u8, i64), &Vec<(u64, i64)>)| Level {
            price: key.1,
            qty: queue.iter().map(|o| o.1).sum(),
            count: queue.len() as u32,
        };
        let mut levels: Vec<_> =
            self.queues.iter().filter(|(k, _)| k.0 == side).map(level).collect();
        if side == 1 {
            levels.reverse();
        }
        levels
    }
}

fn agree(book: &Book, model: &Model) -> Result<(), TestCaseError> {
    let mut walked = [Vec::new(), Vec::new()];
    for (side, code) in [(Side::Buy, 1u8), (Side::Sell, 2)] {
        let levels = model.levels(code);
        prop_assert_eq!(&book.levels(side).collect::<Vec<_>>(), &levels);
        prop_assert_eq!(book.best(side), levels.first().copied());
        prop_assert_eq!(book.level_count(side), levels.len());
        for level in &levels {
            prop_assert_eq!(book.level_at(side, level.price), Some(*level));
            let queue = &model.queues[&(code, level.price)];
            let orders: Vec<_> = book.orders_at(side, level.price).collect();
            let mut ahead = 0;
            prop_assert_eq!(orders.len(), queue.len());
            for (order, &(order_ref, qty)) in orders.iter().zip(queue) {
                let expected = BookOrder { order_ref, side, price: level.price, qty };
                prop_assert_eq!(*order, expected);
                prop_assert_eq!(book.order(order_ref), Some(expected));
                prop_assert_eq!(book.qty_ahead(order_ref), Some(ahead));
                ahead += qty;
            }
            walked[code as usize - 1].extend(orders);
        }
        let walk: Vec<_> = book.walk(side).collect();
        prop_assert_eq!(&walk, &walked[code as usize - 1]);
        prop_assert_eq!(book.front(side), walk.first().copied());
    }
    prop_assert_eq!(book.order_count(), walked[0].len() + walked[1].len());
    if let (Some(bid), Some(ask)) = (book.best_bid(), book.best_ask()) {
        prop_assert_eq!(book.crossed(), bid.price > ask.price);
        prop_assert_eq!(book.locked(), bid.price == ask.price);
    } else {
        prop_assert!(!book.crossed() && !book.locked());
    }
    Ok(())
}

fn operation() -> impl Strategy<Value = BookUpdate> {
    // Mostly adds, modifies and cancels; few order numbers, so that they meet; sometimes nonsense.
    let action = prop_oneof![
        6 => Just(1u8), 4 => Just(2), 4 => Just(3), 1 => 5u8..=9, 1 => prop_oneof![9 => Just(1u8), 1 => Just(4)]
    ];
    (action, 0u64..40, prop_oneof![9 => 1u8..=2, 1 => Just(0u8)], -12i64..12, -1i64..9).prop_map(
        |(action, order_ref, side, price, qty)| BookUpdate {
            action,
            // Far apart and near: runs in the index must form and dissolve.
            order_ref: if order_ref % 3 == 0 { order_ref << 58 } else { order_ref },
            ..update(BookAction::None, 0, side, price, qty)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_sequence_of_records_leaves_the_book_of_the_naive_model(
        operations in prop::collection::vec(operation(), 1..250),
        orders_max in 1usize..30,
        levels_max in 1usize..14,
    ) {
        let mut book = Book::new(orders_max, levels_max);
        let mut model = Model { orders_max, levels_max, ..Model::default() };
        let mut faults = 0;
        for operation in &operations {
            let said = book.apply(operation);
            prop_assert_eq!(said, model.apply(operation));
            faults += said.is_err() as u64;
            agree(&book, &model)?;
        }
        prop_assert_eq!(BookFault::ALL.iter().map(|&f| book.fault_count(f)).sum::<u64>(), faults);
    }

    #[test]
    fn a_book_used_for_long_still_finds_and_frees_every_order(seed in any::<u64>()) {
        let mut book = Book::new(64, 32);
        let mut live: Vec<u64> = Vec::new();
        let mut random = seed | 1;
        for i in 0..20_000u64 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            if live.len() == 64 || (random % 2 == 0 && !live.is_empty()) {
                let order_ref = live.swap_remove(random as usize / 7 % live.len());
                prop_assert!(book.remove(order_ref).is_ok());
                prop_assert_eq!(book.order(order_ref), None);
            } else {
                let order_ref = if random % 3 == 0 { random } else { i };
                let price = (random >> 20) as i64 % 16;
                prop_assert_eq!(book.add(order_ref, Side::Buy, price, 1), Ok(()));
                live.push(order_ref);
            }
        }
        for order_ref in live {
            prop_assert!(book.remove(order_ref).is_ok());
        }
        prop_assert_eq!(book.order_count(), 0);
        prop_assert_eq!(book.best_bid(), None);
    }
}

#[test]
fn priority_is_lost_by_a_new_price_or_more_size_and_kept_by_less() {
    let refs =
        |book: &Book| book.orders_at(Side::Buy, 100).map(|o| o.order_ref).collect::<Vec<_>>();
    let mut book = Book::new(8, 8);
    for order_ref in 1..=3 {
        book.add(order_ref, Side::Buy, 100, 10).unwrap();
    }
    book.modify(1, 100, 4).unwrap();
    assert_eq!(refs(&book), [1, 2, 3]);
    book.modify(1, 100, 4).unwrap();
    assert_eq!(refs(&book), [1, 2, 3]);
    book.modify(1, 100, 5).unwrap();
    assert_eq!(refs(&book), [2, 3, 1]);
    book.modify(2, 101, 10).unwrap();
    book.modify(2, 100, 10).unwrap();
    assert_eq!(refs(&book), [3, 1, 2]);
    assert_eq!(book.reduce(3, 9), Ok(1));
    assert_eq!(refs(&book), [3, 1, 2]);
    assert_eq!(book.reduce(3, 1), Ok(0));
    assert_eq!(refs(&book), [1, 2]);
    assert_eq!(book.best_bid(), Some(Level { price: 100, qty: 15, count: 2 }));
}

#[test]
fn trades_and_fills_do_not_change_the_book() {
    let mut book = Book::new(4, 4);
    book.add(1, Side::Sell, 100, 10).unwrap();
    book.apply(&update(BookAction::Trade, 7, 1, 100, 10)).unwrap();
    book.apply(&update(BookAction::Fill, 1, 2, 100, 10)).unwrap();
    assert_eq!(book.best_ask(), Some(Level { price: 100, qty: 10, count: 1 }));
}

#[test]
fn bad_records_are_counted_and_leave_the_book_unsound_until_it_is_cleared() {
    let add = |order_ref, side, price, qty| update(BookAction::Add, order_ref, side, price, qty);
    let rows: &[(BookUpdate, BookFault)] = &[
        (add(9, 0, 100, 1), BookFault::BadSide),
        (add(9, 77, 100, 1), BookFault::BadSide),
        (add(1, 1, 100, 1), BookFault::DuplicateOrder),
        (add(9, 1, 100, 0), BookFault::BadQty),
        (add(9, 1, 100, i64::MIN), BookFault::BadQty),
        (add(9, 1, 100, i64::MAX), BookFault::BadQty), // the level holds 5 already
        (add(9, 1, 102, 1), BookFault::LevelsFull),
        (update(BookAction::Modify, 8, 1, 100, 1), BookFault::UnknownOrder),
        (update(BookAction::Modify, 1, 2, 100, 1), BookFault::BadSide),
        (update(BookAction::Modify, 1, 1, 100, 0), BookFault::BadQty),
        (update(BookAction::Modify, 1, 1, 102, 1), BookFault::LevelsFull),
        (update(BookAction::Modify, 2, 1, 100, i64::MAX), BookFault::BadQty),
        (update(BookAction::Cancel, 8, 1, 100, 1), BookFault::UnknownOrder),
        (update(BookAction::Cancel, 1, 1, 100, -1), BookFault::BadQty),
        (BookUpdate { action: 200, ..add(9, 1, 1, 1) }, BookFault::BadAction),
    ];
    for (record, fault) in rows {
        let mut book = Book::new(3, 2);
        book.add(1, Side::Buy, 100, 5).unwrap();
        book.add(2, Side::Buy, 101, 5).unwrap();
        assert!(book.is_sound());
        assert_eq!(book.apply(record), Err(*fault), "{record:?}");
        assert!(!book.is_sound());
        assert_eq!(book.fault_count(*fault), 1);
        assert_eq!(book.level_at(Side::Buy, 100), Some(Level { price: 100, qty: 5, count: 1 }));
        assert_eq!(book.best_bid(), Some(Level { price: 101, qty: 5, count: 1 }));
        book.apply(&update(BookAction::Clear, 0, 0, 0, 0)).unwrap();
        assert!(book.is_sound() && book.order_count() == 0 && book.fault_count(*fault) == 1);
    }
    let mut book = Book::new(1, 2);
    book.add(1, Side::Buy, 100, 5).unwrap();
    assert_eq!(book.add(2, Side::Buy, 100, 5), Err(BookFault::BookFull));
    assert_eq!(BookFault::BookFull.to_string(), "the book is full of orders");
}

#[test]
fn the_book_is_whole_only_after_a_record_flagged_last() {
    let mut book = Book::new(4, 4);
    assert!(!book.is_whole());
    let mut record = update(BookAction::Add, 1, 1, 100, 1);
    book.apply(&record).unwrap();
    assert!(!book.is_whole());
    record = BookUpdate { flags: BOOK_LAST, ..update(BookAction::Trade, 0, 0, 100, 1) };
    book.apply(&record).unwrap();
    assert!(book.is_whole());
}

#[test]
fn prices_at_the_ends_of_the_range_sort_right_on_both_sides() {
    let mut book = Book::new(8, 4);
    for (i, price) in [0, i64::MIN, i64::MAX, -1].into_iter().enumerate() {
        book.add(i as u64, Side::Buy, price, 1).unwrap();
        book.add(i as u64 + 4, Side::SellShort, price, 1).unwrap();
    }
    let prices = |side| book.levels(side).map(|l| l.price).collect::<Vec<_>>();
    assert_eq!(prices(Side::Buy), [i64::MAX, 0, -1, i64::MIN]);
    assert_eq!(prices(Side::Sell), [i64::MIN, -1, 0, i64::MAX]);
    assert!(book.crossed());
}
