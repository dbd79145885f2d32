//! Prints docs/order-states.md: the transition table as a diagram and a list.

fn main() {
    print!("{}", engine::states::page());
}
