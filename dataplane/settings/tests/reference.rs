//! `config/reference.toml` is what the code says, and is itself a valid file.

use std::path::Path;

use loadlock_exchange::Mode;
use loadlock_packet::Side;
use loadlock_packet::negotiation::Helpers;
use loadlock_settings::{Clock, PortIndex, Rss, Settings, reference};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/reference.toml");

#[test]
fn the_file_equals_the_code() {
    let file = std::fs::read_to_string(FILE).expect("config/reference.toml");
    assert!(
        file == reference(),
        "config/reference.toml is out of date; write loadlock_settings::reference() to it"
    );
}

#[test]
fn the_file_is_valid_and_holds_the_defaults() {
    let settings = Settings::load(Path::new(FILE)).unwrap_or_else(|errors| panic!("{errors}"));
    let text = "[dataplane]\nworker_cores = [1]\n\
        [[port]]\nname = \"fab-a\"\ndevice = \"0000:3b:00.0\"\n\
        [[port]]\nname = \"fab-b\"\ndevice = \"0000:3b:00.1\"\n\
        [[segment]]\nname = \"fab\"\nside_a = \"fab-a\"\nside_b = \"fab-b\"\n";
    let short = Settings::parse(text, "short.toml").unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(settings.dataplane, short.dataplane);
    assert_eq!(settings.exchange, short.exchange);
    assert_eq!(settings.flows, short.flows);
    assert_eq!(settings.ports, short.ports);
    assert_eq!(settings.segments, short.segments);
    assert_eq!(settings.control, short.control);
    assert_eq!(settings.outward, short.outward);
}

#[test]
fn defaults_are_the_documented_ones() {
    let settings = Settings::load(Path::new(FILE)).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(settings.dataplane.rss, Rss::Symmetric);
    assert_eq!(settings.dataplane.clock, Clock::Tsc);
    assert!(settings.dataplane.hugepages);
    assert_eq!(settings.dataplane.policy_wait.as_secs(), 10);
    assert_eq!(settings.flows.tcp_established.as_secs(), 432_000);
    assert_eq!(settings.segments[0].mode, Mode::Learn);
    assert!(settings.segments[0].infrastructure.neighbour_discovery);
    assert_eq!(settings.segments[0].helpers, Helpers::NONE);
    assert_eq!(settings.exchange.path, Path::new("/dev/shm/loadlock/exchange"));
    assert_eq!(settings.control.log.as_str(), "info");
}

#[test]
fn ports_and_segments_find_each_other() {
    let settings = Settings::load(Path::new(FILE)).unwrap_or_else(|errors| panic!("{errors}"));
    let segment = &settings.segments[0];
    assert_eq!(settings.port(segment.side_b).name.as_str(), "fab-b");
    assert_eq!(settings.port(segment.side_b).eal_name(), "0000:3b:00.1");
    assert_eq!(settings.port(segment.side_b).virtual_device_argument(), None);
    assert_eq!(settings.segment_of(PortIndex(0)), (0, Side::A));
    assert_eq!(settings.segment_of(PortIndex(1)), (0, Side::B));
}

/// Their comments say what comes out of their sums.
#[test]
fn the_examples_are_valid_and_their_sums_are_right() {
    for (name, buffers, pool_mib, flow_mib, pages) in [
        ("2x10g", 17_280, 74, 70, 256),
        ("2x25g", 50_944, 148, 230, 512),
        ("2x100g", 152_832, 2_352, 1_370, 2_048),
    ] {
        let file = format!("{}/../../config/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let settings = Settings::load(Path::new(&file)).unwrap_or_else(|errors| panic!("{errors}"));
        let sums = settings.sums();
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let found = (sums.buffers_needed, mib(sums.pool_bytes), mib(sums.flow_bytes));
        assert_eq!(found, (buffers, pool_mib, flow_mib), "{name}");
        assert!(mib(sums.pool_bytes + sums.flow_bytes) < pages * 2, "{name}");
        let text = std::fs::read_to_string(&file).unwrap();
        let spelled: Vec<char> = buffers.to_string().chars().collect();
        let split = spelled.len() - 3;
        let spelled = format!(
            "{},{}",
            spelled[..split].iter().collect::<String>(),
            spelled[split..].iter().collect::<String>()
        );
        assert!(text.contains(&format!("= {spelled}")), "{name}: {spelled}");
    }
}
