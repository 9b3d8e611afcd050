//! Speed over one capture, for a person: `LOADLOCK_CAPTURE=FILE cargo test --release --test speed -- --ignored --nocapture`.

use loadlock_replay::{ReplayOptions, run, summary};

#[test]
#[ignore = "a measurement, decides nothing: scripts/perf/measure runs it"]
fn speed() {
    let capture = std::env::var_os("LOADLOCK_CAPTURE").expect("LOADLOCK_CAPTURE names a capture");
    let options = ReplayOptions::new(std::path::PathBuf::from(capture));
    let mut reports: Vec<_> = (0..5).map(|_| run(&options).unwrap()).collect();
    print!("{}", summary(&reports[0]));
    reports.sort_by(|a, b| a.speed.replay_s.total_cmp(&b.speed.replay_s));
    for report in &reports {
        println!("{:?}", report.speed);
    }
}
