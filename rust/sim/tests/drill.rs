//! The kill drill at a size that every test run holds: real threads, files and sockets.

use sim::drill::{DrillOptions, drill};

#[test]
fn nothing_leaves_after_a_kill_is_acknowledged_and_every_order_is_canceled() {
    let folder = std::env::temp_dir().join(format!("pd{}", std::process::id()));
    let options = DrillOptions { trials: 40, messages: 20_000, seed: 7, folder: folder.clone() };
    let report = drill(&options);
    let _ = std::fs::remove_dir_all(&folder);
    let report = report.expect("a drill");
    assert!(report.is_good(), "{report:?}");
    assert!(report.trials >= 40 && report.messages >= 20_000, "{report:?}");
    // A cancel that is refused is sent again, so that more may be sent than there were orders.
    assert!(report.cancels_sent > 0 && report.cancels_confirmed > 0, "{report:?}");
    assert!(report.ack_us_max >= report.ack_us_p50 && report.ack_us_p50 > 0, "{report:?}");
}
