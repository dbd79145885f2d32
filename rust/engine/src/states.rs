//! The page docs/order-states.md, written from the transition table. Called by the bin `states` and by
//! the test that compares the committed page with the table; imports nothing but the table.

use crate::order::{Action, ROWS, Trigger};
use layout::OrdStatus;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The page: a state diagram and every row with its reason.
pub fn page() -> String {
    let mut out = String::from(
        "# Order states\n\n\
         Written by `cargo run -p engine --bin states > docs/order-states.md` from the transition table\n\
         of `rust/engine/src/order.rs`; never edited. What no row names is refused before it\n\
         becomes an event, and recorded as `outside_table` when a venue says it. A status is what the venue last proved,\n\
         and what is in flight on top of it: a reject restores what was, fills in between included.\n\n\
         ```mermaid\nstateDiagram-v2\n    [*] --> pending_new\n    [*] --> held\n",
    );
    for (from, to, triggers) in edges() {
        let triggers = triggers.into_iter().collect::<Vec<_>>().join(", ");
        writeln!(out, "    {} --> {}: {triggers}", from.name(), to.name()).expect("memory");
    }
    out.push_str("```\n\n| from | when | does | because |\n|---|---|---|---|\n");
    for row in ROWS {
        let from: Vec<&str> = row.from.iter().map(|status| status.name()).collect();
        let (on, action) = (words(row.on), words(row.action));
        writeln!(out, "| {} | {on} | {action} | {} |", from.join(", "), row.why).expect("memory");
    }
    out
}

/// Statuses in which a replace may be on its way.
const REPLACED: [OrdStatus; 3] =
    [OrdStatus::PendingReplace, OrdStatus::PendingCancel, OrdStatus::Unknown];
/// Statuses in which the venue has set an order aside.
const ASIDE: [OrdStatus; 3] = [OrdStatus::Suspended, OrdStatus::Stopped, OrdStatus::DoneForDay];

/// Where the table leads: one edge for each two statuses, with what may take it.
fn edges() -> Vec<(OrdStatus, OrdStatus, BTreeSet<String>)> {
    let mut edges: Vec<(OrdStatus, OrdStatus, BTreeSet<String>)> = Vec::new();
    for row in ROWS.iter().filter(|row| row.action != Action::Stay) {
        for &from in row.from {
            let leads = |to: OrdStatus| match row.action {
                Action::SetAside => words(to) == words(row.on),
                // Of what is live, the fills decide; only a filled order may end by it.
                // Filled goes before another end behind a replace, and behind done for the day.
                Action::Cancel | Action::Reject | Action::Expire if to == OrdStatus::Filled => {
                    REPLACED.contains(&from)
                        || row.action == Action::Expire && ASIDE.contains(&from)
                }
                // A parent goes back by fills that were too many or never were.
                Action::TakeBack => {
                    from == OrdStatus::Filled
                        || from == OrdStatus::PartiallyFilled && to == OrdStatus::New
                }
                Action::AmendLate if row.on == Trigger::ChildAmended => false,
                Action::Amend => to != OrdStatus::Canceled || from == OrdStatus::Filled,
                _ => true,
            };
            let targets = row.action.leads_to().iter().filter(|&&to| to != from && leads(to));
            for &to in targets {
                match edges.iter_mut().find(|edge| (edge.0, edge.1) == (from, to)) {
                    Some(edge) => drop(edge.2.insert(words(row.on))),
                    None => edges.push((from, to, BTreeSet::from([words(row.on)]))),
                }
            }
        }
    }
    edges.sort_by_key(|edge| (edge.0, edge.1));
    edges
}

/// A variant's name as words.
pub(crate) fn words(variant: impl std::fmt::Debug) -> String {
    let mut out = String::new();
    for letter in format!("{variant:?}").chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_page_is_the_tables() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/order-states.md");
        let committed = std::fs::read_to_string(path).expect("docs/order-states.md");
        assert!(
            committed == super::page(),
            "run: cargo run -p engine --bin states > docs/order-states.md"
        );
    }
}
