//! Mistakes of one key, and of the file as a whole.

use loadlock_settings::{Problem, Settings};

use crate::file::{File, GOOD, assert_at, kind, only};

#[test]
fn a_good_file_has_no_mistake() {
    let settings = GOOD.parse().unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(settings.ports.len(), 2);
    assert_eq!(settings.segments.len(), 1);
}

#[test]
fn unreadable_file() {
    let errors = Settings::load("/nonexistent/x.toml".as_ref()).expect_err("no such file");
    let text = errors.to_string();
    assert!(text.contains("/nonexistent/x.toml: can't be read"), "{text}");
}

#[test]
fn not_utf8() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.toml");
    std::fs::write(&path, b"[dataplane]\n# caf\xe9\n").expect("written");
    let errors = Settings::load(&path).expect_err("not UTF-8");
    let lines: Vec<_> = errors.iter().map(|error| error.line()).collect();
    assert_eq!(lines, [Some(2)], "{errors}");
}

#[test]
fn syntax_errors_are_all_reported_and_hide_their_consequences() {
    let text = "[dataplane]\nmbufs =\nmbuf = 5\n[[port]]\nname = \"x\n";
    let errors = Settings::parse(text, "x.toml").expect_err("no TOML");
    let lines: Vec<_> = errors.iter().map(|error| error.line()).collect();
    assert_eq!(lines, [Some(2), Some(3), Some(5)], "{errors}");
}

#[test]
fn key_given_twice() {
    let file = File { dataplane: "worker_cores = [1]\nmbufs = 65535\nmbufs = 65536", ..GOOD };
    let found = file.mistake(kind!(Syntax));
    assert_at(&found, 4, "", &["duplicate key", "keep one"]);
}

#[test]
fn unknown_key_names_the_nearest() {
    let file = File { dataplane: "worker_cores = [1]\nbrust_packets = 32", ..GOOD };
    let found = file.mistake(kind!(Unknown));
    assert_at(&found, 3, "dataplane.brust_packets", &["\"burst_packets\""]);
}

#[test]
fn unknown_key_of_another_table_names_that_table() {
    let file = File { dataplane: "worker_cores = [1]\nudp_s = 32", ..GOOD };
    let found = file.mistake(kind!(Unknown));
    assert_at(&found, 3, "dataplane.udp_s", &["key of [flows]"]);
}

#[test]
fn unknown_key_like_nothing_lists_all() {
    let file = File { more: "[exchange]\nzzzzzzzz = 1", ..GOOD };
    let found = file.mistake(kind!(Unknown));
    assert_at(&found, 14, "exchange.zzzzzzzz", &["path, event_ring_events, rule_capacity"]);
}

#[test]
fn unknown_table_names_the_nearest() {
    let file = File { more: "[flow]\nudp_s = 30", ..GOOD };
    assert_at(&file.mistake(kind!(Unknown)), 13, "flow", &["\"flows\""]);
}

#[test]
fn single_and_repeated_tables_are_told_apart() {
    let file = File { more: "[[control]]\ncore = 0", ..GOOD };
    assert_at(&file.mistake(kind!(TableShape)), 13, "control", &["[control]"]);
    let text = "port = 3\n[dataplane]\nworker_cores = [1]\n";
    let errors = Settings::parse(text, "x.toml").expect_err("no ports");
    assert!(errors.to_string().contains("x.toml:1: port: must be written as [[port]]"), "{errors}");
}

#[test]
fn wrong_type() {
    let cases = [
        ("worker_cores = [1]\nmbufs = \"65535\"", "dataplane.mbufs", "a text"),
        ("worker_cores = [1]\nhugepages = 1", "dataplane.hugepages", "a whole number"),
        ("worker_cores = [1]\nclock = true", "dataplane.clock", "a truth value"),
        ("worker_cores = [1]\nfile_prefix = []", "dataplane.file_prefix", "a list"),
        ("worker_cores = [1]\nmbufs = 1e6", "dataplane.mbufs", "a number with a fraction"),
    ];
    for (dataplane, key, words) in cases {
        let file = File { dataplane, ..GOOD };
        assert_at(&file.mistake(kind!(WrongType)), 3, key, &[words]);
    }
    let file = File { dataplane: "worker_cores = 1", ..GOOD };
    assert_at(&file.mistake(kind!(WrongType)), 2, "dataplane.worker_cores", &["a list"]);
}

#[test]
fn out_of_range() {
    let cases = [
        "burst_packets = 3",
        "burst_packets = 65",
        "burst_packets = -1",
        "burst_packets = 0xffff_ffff_ffff_ffff_ffff",
        "mbufs = 16777216",
        "memory_mib = 63",
        "main_core = 1024",
    ];
    for line in cases {
        let text = GOOD.text().replace("[dataplane]", &format!("[dataplane]\n{line}"));
        let found = only(&text, kind!(NotAllowed));
        let key = line.split(' ').next().unwrap_or("");
        assert_at(&found, 2, &format!("dataplane.{key}"), &["allowed is", "default"]);
    }
}

#[test]
fn zero_is_allowed_where_it_means_something() {
    let file =
        File { dataplane: "worker_cores = [1]\nmemory_mib = 0\nhugepage_dir = \"\"", ..GOOD };
    let settings = file.parse().unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(settings.dataplane.memory_mib, None);
    assert_eq!(settings.dataplane.hugepage_dir, None);
}

#[test]
fn not_a_power_of_two() {
    let file = File { more: "[exchange]\nevent_ring_events = 65535", ..GOOD };
    let found = file.mistake(kind!(NotAllowed));
    assert_at(&found, 14, "exchange.event_ring_events", &["power of two"]);
}

#[test]
fn unknown_word() {
    let file = File { segment: "side_a = \"a\"\nside_b = \"b\"\nmode = \"enforcing\"", ..GOOD };
    let found = file.mistake(kind!(NotAllowed));
    assert_at(&found, 13, "segment[s].mode", &["\"enforcing\"", "did you mean \"enforce\"?"]);
}

#[test]
fn infrastructure_words_are_known_and_stand_once() {
    let file = File {
        segment: "side_a = \"a\"\nside_b = \"b\"\ninfrastructure = [\"arp\", \"ndp\"]",
        ..GOOD
    };
    let found = file.mistake(kind!(NotAllowed));
    assert_at(&found, 13, "segment[s].infrastructure[1]", &["\"ndp\"", "\"nd\""]);
    let file = File {
        segment: "side_a = \"a\"\nside_b = \"b\"\ninfrastructure = [\"arp\", \"arp\"]",
        ..GOOD
    };
    assert_at(
        &file.mistake(kind!(NotAllowed)),
        13,
        "segment[s].infrastructure[1]",
        &["none twice"],
    );
}

#[test]
fn helpers_are_known() {
    let file =
        File { segment: "side_a = \"a\"\nside_b = \"b\"\nhelpers = [\"ftp\", \"dcrpc\"]", ..GOOD };
    let found = file.mistake(kind!(NotAllowed));
    assert_at(&found, 13, "segment[s].helpers[1]", &["\"dcrpc\"", "did you mean \"dcerpc\"?"]);
}

#[test]
fn bad_names() {
    for name in ["", "-a", "Fab", "fab_a", "a b", "a23456789012345678901234567890123"] {
        let text = GOOD.text().replace("name = \"s\"", &format!("name = \"{name}\""));
        let found = only(&text, kind!(NotAllowed));
        assert_eq!(found.0, Some(10), "{}", found.2);
        assert!(found.1.ends_with("].name"), "{}", found.2);
    }
}

#[test]
fn bad_paths() {
    let file = File { more: "[exchange]\npath = \"exchange\"", ..GOOD };
    assert_at(&file.mistake(kind!(NotAllowed)), 14, "exchange.path", &["absolute path"]);
    let text = format!("{}[control]\nsocket = \"/{}\"", GOOD.text(), "x".repeat(107));
    assert_at(&only(&text, kind!(NotAllowed)), 15, "control.socket", &["107 bytes"]);
    let file = File { more: "[control]\nstore = \"a\\u0000b\"", ..GOOD };
    assert_at(&file.mistake(kind!(NotAllowed)), 14, "control.store", &[]);
}

#[test]
fn missing_required_keys_are_each_reported() {
    let text = "[dataplane]\n[[port]]\n[[port]]\nname = \"b\"\n[[segment]]\n";
    let errors = Settings::parse(text, "x.toml").expect_err("much missing");
    let keys: Vec<_> = errors.iter().map(|error| (error.line(), error.key())).collect();
    let expected = [
        (Some(1), "dataplane.worker_cores"),
        (Some(2), "port[#1].device"),
        (Some(2), "port[#1].name"),
        (Some(3), "port[b].device"),
        (Some(5), "segment[#1].name"),
        (Some(5), "segment[#1].side_a"),
        (Some(5), "segment[#1].side_b"),
    ];
    assert_eq!(keys, expected, "{errors}");
}

#[test]
fn empty_file_lacks_what_is_required() {
    let errors = Settings::parse("", "x.toml").expect_err("empty");
    let keys: Vec<_> = errors.iter().map(|error| error.key()).collect();
    assert_eq!(keys, ["dataplane.worker_cores", "port", "segment"], "{errors}");
}

#[test]
fn too_few_and_too_many_entries() {
    let file = File { dataplane: "worker_cores = []", ..GOOD };
    assert_at(&file.mistake(kind!(EntryCount)), 2, "dataplane.worker_cores", &["0 entries"]);
    let mut text = "[dataplane]\nworker_cores = [1]\nmbufs = 16777215\n".to_owned();
    for index in 0..34 {
        text += &format!("[[port]]\nname = \"p{index}\"\ndevice = \"net_null\"\n");
    }
    for index in 0..17 {
        let (a, b) = (2 * index, 2 * index + 1);
        text +=
            &format!("[[segment]]\nname = \"s{index}\"\nside_a = \"p{a}\"\nside_b = \"p{b}\"\n");
    }
    let errors = Settings::parse(&text, "x.toml").expect_err("too many");
    let keys: Vec<_> = errors.iter().map(|error| error.key()).collect();
    assert_eq!(keys, ["port", "segment"], "{errors}");
}

#[test]
fn bad_cores() {
    for cores in ["[1, -2]", "[1, 1024]", "[1, \"2\"]", "[1, 2.0]"] {
        let text = GOOD.text().replace("[1]", cores);
        let found = only(&text, kind!(NotAllowed));
        assert_at(&found, 2, "dataplane.worker_cores[1]", &["from 0 to 1023"]);
    }
}

#[test]
fn bad_device_names_the_nearest_driver() {
    let file = File { port_a: "device = \"net_pcap0\"", ..GOOD };
    let found = file.mistake(kind!(NotAllowed));
    assert_at(&found, 5, "port[a].device", &["did you mean \"net_pcap\"?"]);
    let file = File { port_a: "device = \"eth0\"", ..GOOD };
    assert_at(&file.mistake(kind!(NotAllowed)), 5, "port[a].device", &["PCI address"]);
}

#[test]
fn options_of_a_card() {
    let file = File { port_a: "device = \"0000:3b:00.0\"\noptions = { iface = \"x\" }", ..GOOD };
    assert_at(&file.mistake(kind!(OptionsOfCard)), 6, "port[a].options", &["0000:3b:00.0"]);
}

#[test]
fn control_characters_never_reach_the_terminal() {
    let file = File {
        dataplane: "worker_cores = [1]\n\"a\\u001b[31m\" = 1\nfile_prefix = \"\\u001b[31m\"",
        ..GOOD
    };
    let errors = file.parse().expect_err("two mistakes").to_string();
    let escapes = errors.chars().any(|character| character.is_control() && character != '\n');
    assert!(!escapes, "{errors:?}");
}
