//! Mistakes in which several keys have part.

use loadlock_settings::{Problem, Settings};

use crate::file::{File, GOOD, assert_at, kind};

#[test]
fn names_used_twice() {
    let text = GOOD.text().replace("name = \"b\"", "name = \"a\"");
    let errors = Settings::parse(&text, "x.toml").expect_err("one name for two");
    let first = errors.iter().next().expect("one");
    assert_eq!((first.line(), first.key()), (Some(7), "port[#2].name"), "{errors}");
    assert!(first.to_string().contains("already used by port[a].name on line 4"), "{errors}");
    let again = "[[segment]]\nname = \"s\"\nside_a = \"a\"\nside_b = \"b\"";
    let errors = File { more: again, ..GOOD }.parse().expect_err("one name for two");
    let keys: Vec<_> = errors.iter().map(|error| error.key()).collect();
    let expected = ["segment[#2].name", "segment[#2].side_a", "segment[#2].side_b"];
    assert_eq!(keys, expected, "{errors}");
}

#[test]
fn cores_used_twice() {
    let file = File { dataplane: "worker_cores = [1, 2, 1]", ..GOOD };
    let found = file.mistake(kind!(UsedTwice));
    assert_at(&found, 2, "dataplane.worker_cores[2]", &["CPU 1", "worker_cores[0]"]);
    let file = File { dataplane: "main_core = 3\nworker_cores = [\n1,\n3]", ..GOOD };
    let found = file.mistake(kind!(UsedTwice));
    assert_at(&found, 5, "dataplane.worker_cores[1]", &["CPU 3", "dataplane.main_core on line 2"]);
    let file = File { dataplane: "main_core = 3\nworker_cores = [0]", ..GOOD };
    let found = file.mistake(kind!(UsedTwice));
    assert_at(&found, 3, "dataplane.worker_cores[0]", &["control.core (its default)"]);
}

#[test]
fn main_and_control_may_share_a_core() {
    let file = File {
        dataplane: "main_core = 5\nworker_cores = [0, 1]",
        more: "[control]\ncore = 5",
        ..GOOD
    };
    assert!(file.parse().is_ok());
}

#[test]
fn card_used_twice_in_two_spellings() {
    let file = File { port_b: "device = \"3B:00.0\"", ..GOOD };
    let found = file.mistake(kind!(UsedTwice));
    assert_at(&found, 8, "port[b].device", &["0000:3b:00.0", "line 5"]);
}

#[test]
fn dangling_side() {
    let file = File { segment: "side_a = \"a\"\nside_b = \"bb\"", ..GOOD };
    assert_at(&file.mistake(kind!(NoSuchPort)), 12, "segment[s].side_b", &["\"a\", \"b\""]);
}

#[test]
fn port_without_segment() {
    let file = File { more: "[[port]]\nname = \"c\"\ndevice = \"net_null\"", ..GOOD };
    assert_at(&file.mistake(kind!(UnusedPort)), 13, "port[c]", &["\"c\""]);
}

#[test]
fn port_on_two_sides() {
    let file = File { segment: "side_a = \"a\"\nside_b = \"a\"", ..GOOD };
    // That port b is left over is the same slip, and isn't told apart.
    let found = file.mistake(kind!(UsedTwice));
    assert_at(&found, 12, "segment[s].side_b", &["port \"a\"", "segment[s].side_a on line 11"]);
}

#[test]
fn mtus_of_a_segment_differ() {
    let file = File { port_a: "device = \"0000:3b:00.0\"\nmtu = 1400", ..GOOD };
    let found = file.mistake(kind!(MtuDiffers));
    assert_at(&found, 10, "segment[s]", &["\"a\" has MTU 1400", "\"b\" has 1500"]);
}

#[test]
fn frame_larger_than_an_mbuf() {
    let file = File { dataplane: "worker_cores = [1]\nmbuf_data_bytes = 1653", ..GOOD };
    let errors = file.parse().expect_err("1500 + 26 + 128 = 1654");
    let keys: Vec<_> = errors.iter().map(|error| (error.line(), error.key())).collect();
    assert_eq!(keys, [(Some(4), "port[a].mtu"), (Some(7), "port[b].mtu")], "{errors}");
    let file = File { dataplane: "worker_cores = [1]\nmbuf_data_bytes = 1654", ..GOOD };
    assert!(file.parse().is_ok());
}

#[test]
fn pool_too_small_for_the_queues() {
    let file = File { dataplane: "worker_cores = [1, 2]\nmbufs = 8192", ..GOOD };
    let found = file.mistake(kind!(TooFewMbufs));
    assert_at(&found, 3, "dataplane.mbufs", &["need 9088", "mbufs = 16383"]);
}

#[test]
fn capture_clock_needs_one_worker() {
    let file = File {
        dataplane: "worker_cores = [1, 2]\nclock = \"capture\"",
        port_a: "device = \"net_pcap\"\noptions = { rx_pcap = [\"a\", \"b\"] }",
        port_b: "device = \"net_pcap\"\noptions = { rx_pcap = [\"c\", \"d\"] }",
        ..GOOD
    };
    assert_at(&file.mistake(kind!(CaptureClock)), 3, "dataplane.clock", &["2 workers"]);
}

#[test]
fn capture_clock_needs_files_that_end() {
    let file = File {
        dataplane: "worker_cores = [1]\nclock = \"capture\"",
        port_a: "device = \"net_pcap\"\noptions = { rx_pcap = \"a\", infinite_rx = true }",
        port_b: "device = \"net_pcap\"\noptions = { iface = \"eth0\" }",
        ..GOOD
    };
    let errors = file.parse().expect_err("no capture time");
    let keys: Vec<_> = errors.iter().map(|error| error.key()).collect();
    assert_eq!(keys, ["port[a].options.infinite_rx", "port[b].options.iface"], "{errors}");
    let file = File {
        dataplane: "worker_cores = [1]\nclock = \"capture\"",
        port_a: "device = \"net_pcap\"\noptions = { rx_pcap = \"a\", infinite_rx = false }",
        ..GOOD
    };
    let found = file.mistake(kind!(CaptureClock));
    assert_at(&found, 10, "port[b].device", &["0000:3b:00.1"]);
}

#[test]
fn a_dead_dataplane_opens_nothing_without_a_relay_and_a_relay_closes_nothing() {
    let file =
        File { segment: "side_a = \"a\"\nside_b = \"b\"\ndataplane_dead = \"open\"", ..GOOD };
    let found = file.mistake(kind!(CannotBeKept));
    assert_at(&found, 13, "segment[s].dataplane_dead", &["no relay", "set bypass_command"]);
    let file =
        File { segment: "side_a = \"a\"\nside_b = \"b\"\nbypass_command = \"/bin/relay\"", ..GOOD };
    let found = file.mistake(kind!(CannotBeKept));
    assert_at(&found, 13, "segment[s].bypass_command", &["joins the cables", "dataplane_dead"]);
    let both = "side_a = \"a\"\nside_b = \"b\"\ndataplane_dead = \"open\"\nbypass_command = \"/bin/relay\"";
    let settings = File { segment: both, ..GOOD }.parse().expect("both");
    assert_eq!(
        settings.segments[0].bypass.as_ref().map(|bypass| bypass.every.as_millis()),
        Some(500)
    );
}

#[test]
fn what_physics_forbids_is_no_word() {
    for (line, word) in [
        ("link_down = \"open\"", "propagate"),
        ("ring_full = \"open\"", "closed"),
        ("dataplane_dead = \"static\"", "closed"),
    ] {
        let text = format!("{}{line}\n", GOOD.text());
        let errors = Settings::parse(&text, "x.toml").expect_err("no such word");
        assert!(errors.to_string().contains(word), "{errors}");
    }
}
