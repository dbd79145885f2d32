//! Deliberate bugs, each by name, to see that the tests find them: `tests/data/mutants.toml` tells
//! what each breaks and what catches it, `tools/mutants` chooses one after the other at run time.
//!
//! A site is a line of its own beside the right ones. Without the feature `mutants`, which no other
//! manifest names, it is nothing: no name, no branch. What must stay true: table and sites agree one
//! to one, and no build that people trade with has the feature (`tests/tidy` looks for both).

/// A deliberate bug, a line of its own beside the right ones: `mutant!(name => statement)` is done as
/// well, `mutant!(name: variable = value)` has another value from here on. Nothing in this build.
#[cfg(not(feature = "mutants"))]
#[macro_export]
macro_rules! mutant {
    ($name:ident => $broken:expr) => {};
    ($name:ident: $variable:ident = $broken:expr) => {};
}

/// A deliberate bug, while it is the chosen one: `mutant!(name => statement)` is done as well,
/// `mutant!(name: variable = value)` has another value from here on.
#[cfg(feature = "mutants")]
#[macro_export]
macro_rules! mutant {
    ($name:ident => $broken:expr) => {
        if $crate::mutant!($name) {
            $broken;
        }
    };
    ($name:ident: $variable:ident = $broken:expr) => {
        let $variable = if $crate::mutant!($name) { $broken } else { $variable };
    };
    ($name:ident) => {{
        static CHOSEN: std::sync::LazyLock<bool> =
            std::sync::LazyLock::new(|| $crate::mutant_is(stringify!($name)));
        *CHOSEN
    }};
}

/// Whether the environment variable `PYOMS_MUTANT` names this mutant; it is read once. A name that is
/// not in the table ends the process: a run of nothing must not look like one that found nothing.
#[cfg(feature = "mutants")]
pub fn mutant_is(name: &str) -> bool {
    use std::sync::LazyLock;
    static CHOSEN: LazyLock<Option<String>> = LazyLock::new(|| {
        let chosen = std::env::var("PYOMS_MUTANT").ok().filter(|name| !name.is_empty())?;
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/mutants.toml");
        let table = std::fs::read_to_string(path).expect("the table of mutants");
        let row = format!("name = \"{chosen}\"");
        if !table.lines().any(|line| line == row) {
            eprintln!("PYOMS_MUTANT={chosen}: tests/data/mutants.toml names no such mutant");
            std::process::exit(2);
        }
        Some(chosen)
    });
    CHOSEN.as_deref() == Some(name)
}
