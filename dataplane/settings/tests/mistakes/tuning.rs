//! Mistakes in what an appliance is tuned by: workers of segments, pools of ports, keys of RSS, offloads, relays.

use loadlock_settings::{Relay, RssKey, Settings};

const FILE: &str = "[dataplane]\nworker_cores = [1, 2]\n\
[[port]]\nname = \"a\"\ndevice = \"0000:3b:00.0\"\n\
[[port]]\nname = \"b\"\ndevice = \"0000:3b:00.1\"\n\
[[segment]]\nname = \"s\"\nside_a = \"a\"\nside_b = \"b\"\n";

fn with(after: &str, line: &str) -> String {
    let at = FILE.find(after).expect("a line") + after.len();
    format!("{}{line}\n{}", &FILE[..at], &FILE[at..])
}

/// Keys of the mistakes; the report has all the words.
fn refused(text: &str, words: &[&str]) -> Vec<String> {
    let errors = Settings::parse(text, "x.toml").expect_err("a mistake");
    let report = errors.to_string();
    for word in words {
        assert!(report.contains(word), "{word:?} isn't in:\n{report}");
    }
    errors.iter().map(|error| error.key().to_owned()).collect()
}

fn parsed(text: &str) -> Settings {
    Settings::parse(text, "x.toml").unwrap_or_else(|errors| panic!("{errors}"))
}

const DATAPLANE: &str = "worker_cores = [1, 2]\n";
const PORT: &str = "device = \"0000:3b:00.0\"\n";
const SEGMENT: &str = "side_b = \"b\"\n";

#[test]
fn every_offload_that_touches_a_frame_is_refused_with_what_it_does() {
    let list = "offloads = [\"tx-fast-free\", \"vlan-strip\", \"RTE_ETH_RX_OFFLOAD_TCP_LRO\", \"tx_ipv4_cksum\"]";
    let keys = refused(
        &with(PORT, list),
        &[
            "takes tags out of frames",
            "joins several frames",
            "wrong checksum",
            "allowed is \"tx-fast-free\"",
        ],
    );
    assert_eq!(keys, ["port[a].offloads[1]", "port[a].offloads[2]", "port[a].offloads[3]"]);
    let unknown =
        refused(&with(PORT, "offloads = [\"fast\"]"), &["a list of any of \"tx-fast-free\""]);
    assert_eq!(unknown, ["port[a].offloads[0]"]);
    let settings = parsed(&with(PORT, "offloads = [\"tx-fast-free\"]"));
    assert_eq!((settings.ports[0].tx_fast_free, settings.ports[1].tx_fast_free), (true, false));
}

#[test]
fn a_key_of_rss_is_four_bytes_that_spread() {
    let key = |text: &str| with(DATAPLANE, &format!("rss_key = \"{text}\""));
    assert_eq!(parsed(&key("12345678")).dataplane.rss_key, RssKey([0x12, 0x34, 0x56, 0x78]));
    assert_eq!(parsed(FILE).dataplane.rss_key, RssKey::DEFAULT);
    for wrong in ["", "6d5a", "6d5a6d5a6d", "6d5a6d5g", "0x6d5a6d", "+1234567"] {
        assert_eq!(refused(&key(wrong), &["8 hexadecimal digits"]), ["dataplane.rss_key"]);
    }
    assert_eq!(
        refused(&key("ffffffff"), &["only 2 different hashes", "at least 512"]),
        ["dataplane.rss_key"]
    );
    assert_eq!(refused(&key("00000000"), &["only 1 different"]), ["dataplane.rss_key"]);
}

#[test]
fn a_pool_of_a_port_must_fill_its_queues() {
    // Two workers, 1024 receive descriptors and the other side's 1024 to transmit; caches of 384 and bursts of 64.
    let few = with(PORT, "mbufs = 4991");
    assert_eq!(
        refused(&few, &["2 workers x 2048 descriptors", "need 4992", "mbufs = 8191"]),
        ["port[a].mbufs"]
    );
    assert_eq!(parsed(&with(PORT, "mbufs = 4992")).ports[0].pool.map(|pool| pool.cache), Some(256));
    let cache =
        refused(&with(PORT, "mbuf_cache = 64"), &["without mbufs", "delete its mbuf_cache"]);
    assert_eq!(cache, ["port[a].mbuf_cache"]);
    // The port that shares no more takes nothing of the shared pool.
    let small =
        with(PORT, "mbufs = 8191").replace(DATAPLANE, "worker_cores = [1, 2]\nmbufs = 4992\n");
    parsed(&small);
    let smaller = small.replace("mbufs = 4992", "mbufs = 4991");
    assert_eq!(refused(&smaller, &["need 4992"]), ["dataplane.mbufs"]);
}

#[test]
fn workers_of_a_segment_are_workers_and_each_worker_has_work() {
    let cores = |list: &str| with(SEGMENT, &format!("worker_cores = {list}"));
    assert_eq!(parsed(&cores("[2, 1]")).segments[0].workers, [0, 1]);
    assert_eq!(parsed(&cores("[]")).segments[0].workers, [0, 1]);
    let stranger = refused(&cores("[1, 2, 3]"), &["CPU 3 is no worker", "1, 2"]);
    assert_eq!(stranger, ["segment[s].worker_cores[2]"]);
    assert_eq!(refused(&cores("[1, 2, 2]"), &["already used"]), ["segment[s].worker_cores[2]"]);
    let idle = refused(&cores("[1]"), &["the worker on CPU 2 serves no segment"]);
    assert_eq!(idle, ["dataplane.worker_cores[1]"]);
    // A virtual port needs queues for its segment's workers, not for all.
    let two = format!(
        "{}[[port]]\nname = \"c\"\ndevice = \"net_af_packet\"\noptions = {{ iface = \"x\" }}\n\
         [[port]]\nname = \"d\"\ndevice = \"net_null\"\n\
         [[segment]]\nname = \"t\"\nside_a = \"c\"\nside_b = \"d\"\nworker_cores = [2]\n",
        cores("[1]")
    );
    parsed(&two);
    let crowded = two.replace("worker_cores = [2]\n", "");
    assert_eq!(refused(&crowded, &["has 1 queue pair, but 2 workers"]), ["port[c].options"]);
}

#[test]
fn a_relay_is_one_program_or_lines_of_its_own() {
    let relay = |lines: &str| with(SEGMENT, &format!("dataplane_dead = \"open\"\n{lines}"));
    let settings = parsed(&relay(
        "bypass_gpio = \"/dev/gpiochip0:4\"\nbypass_gpio_arm = \"/dev/gpiochip0:5:active-low\"",
    ));
    let bypass = settings.segments[0].bypass.clone().expect("a relay");
    let Relay::Gpio { pulse, arm: Some(arm) } = bypass.relay else { panic!("lines") };
    assert_eq!((pulse.line, arm.line, arm.active_low), (4, 5, true));
    for (lines, key, words) in [
        ("bypass_gpio = \"gpiochip0:4\"", "bypass_gpio", "such as \"/dev/gpiochip0:17\""),
        ("bypass_gpio_arm = \"/dev/g:4\"", "bypass_gpio_arm", "wouldn't join the cables"),
        (
            "bypass_gpio = \"/dev/g:4\"\nbypass_gpio_arm = \"/dev/g:4\"",
            "bypass_gpio_arm",
            "steady and changing",
        ),
        ("bypass_gpio = \"/dev/g:4\"\nbypass_command = \"/bin/relay\"", "bypass_gpio", "one relay"),
    ] {
        assert_eq!(refused(&relay(lines), &[words])[0], format!("segment[s].{key}"), "{lines}");
    }
    let closed = with(SEGMENT, "bypass_gpio = \"/dev/g:4\"");
    assert_eq!(refused(&closed, &["delete bypass_gpio"]), ["segment[s].bypass_gpio"]);
    let two = format!(
        "{}[[port]]\nname = \"c\"\ndevice = \"net_null\"\n[[port]]\nname = \"d\"\ndevice = \"net_null\"\n\
         [[segment]]\nname = \"t\"\nside_a = \"c\"\nside_b = \"d\"\ndataplane_dead = \"open\"\nbypass_gpio = \"/dev/g:4:active-low\"\n",
        relay("bypass_gpio = \"/dev/g:4\"")
    );
    assert_eq!(refused(&two, &["a line belongs to one relay"]), ["segment[t].bypass_gpio"]);
}
