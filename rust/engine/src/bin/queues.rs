//! Prints docs/queue-priority.md.
#![forbid(unsafe_code)]

fn main() {
    print!("{}", engine::priority::page());
}
