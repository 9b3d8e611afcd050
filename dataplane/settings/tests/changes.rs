//! One configuration against another: what differs, and what is taken over while it runs.

use loadlock_settings::{Settings, Takes, reference};

fn parse(text: &str) -> Settings {
    Settings::parse(text, "x.toml").unwrap_or_else(|errors| panic!("{errors}"))
}

/// The reference with one line replaced.
fn with(old: &str, new: &str) -> Settings {
    let text = reference();
    assert!(text.contains(&format!("\n{old}\n")), "{old}");
    parse(&text.replacen(&format!("\n{old}\n"), &format!("\n{new}\n"), 1))
}

fn keys(old: &Settings, new: &Settings) -> Vec<(String, Takes)> {
    old.changes(new).into_iter().map(|change| (change.key, change.takes)).collect()
}

#[test]
fn the_same_values_written_otherwise_are_no_change() {
    let whole = parse(&reference());
    let short = "[dataplane]\nworker_cores = [ 0x1 ]\nmbufs = 32_768\n[[port]]\nname = 'fab-a'\ndevice = '0000:3b:00.0'\n[[port]]\n\
                 name = 'fab-b'\ndevice = '0000:3b:00.1'\n[[segment]]\nname = 'fab'\nside_a = 'fab-a'\nside_b = 'fab-b'\n";
    assert_eq!(whole.changes(&parse(short)), []);
    assert_eq!(parse(short).changes(&whole), []);
}

#[test]
fn each_difference_says_what_it_takes() {
    let old = parse(&reference());
    let cases = [
        ("log = \"info\"", "log = \"warn\"", "control.log", Takes::Reload),
        (
            "targets = []",
            "targets = [\"udp://[::1]:514\"]",
            "outward.syslog.targets",
            Takes::Reload,
        ),
        ("helpers = []", "helpers = [\"ftp\"]", "segment[fab].helpers", Takes::Reload),
        ("mode = \"learn\"", "mode = \"enforce\"", "segment[fab].mode", Takes::FirstStart),
        ("connections = 64", "connections = 65", "api.connections", Takes::Control),
        ("udp_s = 180", "udp_s = 181", "flows.udp_s", Takes::Dataplane),
        ("worker_cores = [1]", "worker_cores = [2]", "dataplane.worker_cores", Takes::Both),
    ];
    for (before, after, key, takes) in cases {
        assert_eq!(keys(&old, &with(before, after)), [(key.to_owned(), takes)], "{after}");
    }
    let change = &old.changes(&with("log = \"info\"", "log = \"warn\""))[0];
    assert_eq!((change.old.as_str(), change.new.as_str()), ("\"info\"", "\"warn\""));
}

#[test]
fn other_ports_and_segments_are_one_change_each() {
    let old = parse(&reference());
    let text = reference().replace("fab-b", "fab-c");
    let new = parse(&text);
    let found = keys(&old, &new);
    assert!(found.contains(&("port".to_owned(), Takes::Both)), "{found:?}");
    assert!(found.iter().all(|(key, _)| !key.starts_with("port[fab-c]")), "{found:?}");
}

#[test]
fn a_secret_is_not_shown() {
    let device = "device = \"0000:3b:00.0\"\n";
    let memif = |secret: &str| {
        let options = format!(
            "device = \"net_memif\"\noptions = {{ role = \"server\", secret = \"{secret}\" }}\n"
        );
        parse(&reference().replacen(device, &options, 1))
    };
    let change = &memif("one").changes(&memif("two"))[0];
    assert!(change.key.ends_with(".options"), "{change:?}");
    assert!(!format!("{change:?}").contains("one") && !format!("{change:?}").contains("two"));
}

/// Every key that a reload takes over, with another value than the default: none is forgotten by `take_live`, nor taken too much.
#[test]
fn what_is_taken_over_is_what_is_said_to_be() {
    let others = [
        ("version_interval_s = 60", "version_interval_s = 61"),
        ("admission = \"evidence\"", "admission = \"record-all\""),
        ("approver = \"anyone\"", "approver = \"another-person\""),
        ("flow_view_capacity = 100000", "flow_view_capacity = 100001"),
        ("log = \"info\"", "log = \"debug\""),
        ("retention_days = 90", "retention_days = 7"),
        ("retention_mib = 4096", "retention_mib = 64"),
        ("socket_role = \"admin\"", "socket_role = \"viewer\""),
        ("requests_per_s = 100", "requests_per_s = 101"),
        ("listen = \"\"", "listen = \"127.0.0.1:9464\""),
        ("path = \"\"", "path = \"/x\""),
        ("max_mib = 64", "max_mib = 65"),
        ("template_s = 60", "template_s = 61"),
        ("infrastructure = [\"arp\", \"nd\", \"link-local\"]", "infrastructure = [\"arp\"]"),
        ("midstream = \"grace\"", "midstream = \"never\""),
        ("identity_a = \"mac-ip\"", "identity_a = \"ip\""),
        ("identity_b = \"mac-ip\"", "identity_b = \"off\""),
        ("helpers = []", "helpers = [\"tftp\"]"),
        ("table_full = \"static\"", "table_full = \"open\""),
        ("ring_full = \"static\"", "ring_full = \"closed\""),
    ];
    for (before, after) in others {
        let (mut runs, new) = (parse(&reference()), with(before, after));
        assert!(runs.changes(&new).iter().all(|change| change.takes == Takes::Reload), "{after}");
        assert!(!runs.changes(&new).is_empty(), "{after}");
        runs.take_live(&new);
        assert_eq!(runs.changes(&new), [], "{after}");
        let typed = |settings: &Settings| {
            format!(
                "{:?} {:?} {:?} {:?} {:?}",
                settings.dataplane,
                settings.segments,
                settings.control,
                settings.api,
                settings.outward
            )
        };
        assert_eq!(typed(&runs), typed(&new), "{after}");
    }
    for (before, after) in
        [("udp_s = 180", "udp_s = 181"), ("connections = 64", "connections = 65")]
    {
        let (mut runs, new) = (parse(&reference()), with(before, after));
        let changes = runs.changes(&new);
        runs.take_live(&new);
        assert_eq!(runs.changes(&new), changes, "{after}");
        assert_eq!(format!("{:?}", runs.flows), format!("{:?}", parse(&reference()).flows));
    }
}
