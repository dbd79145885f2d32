//! The pages docs/records.md and docs/verdicts.md: every record and code, from the tables that the code
//! is made from. Called by the bin `emit` and by a test that compares them with those in the tree.

use crate::{CODES, LAYOUT_HASH, TABLES};
use std::fmt::Write;

/// The page.
pub fn records() -> String {
    let mut page = format!(
        "# Records and codes\n\n\
         Written by `make docs` from `rust/layout` (hash {LAYOUT_HASH:#018x}); never edited.\n\n\
         A record is 128 bytes, little-endian: the header of 32 first, then what its kind says. Prices,\n\
         quantities and fees are fixed-point at 1e-9.\n"
    );
    for table in TABLES {
        let kind = if table.kind == 0 { String::new() } else { format!("kind {}, ", table.kind) };
        let _ = write!(page, "\n## `{}` ({kind}{} bytes)\n\n", table.snake, table.size);
        let _ =
            write!(page, "{}\n\n| byte | field | type | |\n|---|---|---|---|\n", table.doc.trim());
        for field in table.fields {
            let (at, name, ty) = (field.offset, field.name, field.ty);
            let _ = writeln!(page, "| {at} | `{name}` | `{ty}` | {} |", cell(field.doc));
        }
    }
    for codes in CODES.iter().filter(|codes| codes.snake != "verdict") {
        let _ = write!(page, "\n## Codes: `{}`\n\n{}\n\n", codes.snake, codes.doc.trim());
        page.push_str("| code | name | FIX | |\n|---|---|---|---|\n");
        for code in codes.codes {
            let fix = if code.fix.is_empty() { String::new() } else { format!("`{}`", code.fix) };
            let _ =
                writeln!(page, "| {} | `{}` | {fix} | {} |", code.code, code.name, cell(code.doc));
        }
    }
    page
}

/// The page docs/verdicts.md: the gate's answers in the order of their precedence.
pub fn verdicts() -> String {
    let table = CODES.iter().find(|codes| codes.snake == "verdict").expect("the gate has answers");
    let mut page = "# Verdicts\n\n\
         Written by `make docs` from `rust/layout`; never edited.\n\n\
         The gate's answer to a command. Of several failing checks the one with the lowest number is told.\n\
         `{value}` and `{bound}` are the numbers of the refusal, those with `_e9` as decimals.\n\n\
         | number | name | OrdRejReason(103) | sentence |\n|---|---|---|---|\n"
        .to_owned();
    for code in table.codes {
        let (number, name, fix) = (code.code, code.name, code.fix);
        let _ = writeln!(page, "| {number} | `{name}` | {fix} | {} |", cell(code.doc));
    }
    page
}

/// A text within a table's cell.
fn cell(text: &str) -> String {
    text.trim().replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    fn committed(name: &str) -> String {
        let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    #[test]
    fn the_pages_in_the_tree_are_what_the_tables_say() {
        assert!(super::records() == committed("records.md"), "run: make docs");
        assert!(super::verdicts() == committed("verdicts.md"), "run: make docs");
    }
}
