//! `bench [CASE] [--small]`: runs the cases and prints one JSON line each. For developers and for
//! profilers; people use `pyoms bench`, which adds the Python cases and the budget.
#![forbid(unsafe_code)]

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let small = arguments.iter().any(|a| a == "--small");
    let case = arguments.iter().find(|a| !a.starts_with("--"));
    match bench::run(case.map(String::as_str), small) {
        Ok(lines) => lines.iter().for_each(|line| println!("{}", line.to_json())),
        Err(fault) => {
            eprintln!("bench: {fault}");
            std::process::exit(2);
        }
    }
}
