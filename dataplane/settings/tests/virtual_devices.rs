//! What becomes of the options of virtual drivers.

use loadlock_settings::{Driver, Problem, Settings, SettingsErrors};

fn parse(workers: &str, port_a: &str, port_b: &str) -> Result<Settings, SettingsErrors> {
    let text = format!(
        "[dataplane]\nworker_cores = {workers}\nrss = \"device\"\n\
         [[port]]\nname = \"a\"\n{port_a}\n\
         [[port]]\nname = \"b\"\n{port_b}\n\
         [[segment]]\nname = \"s\"\nside_a = \"a\"\nside_b = \"b\"\n"
    );
    Settings::parse(&text, "/etc/loadlock/test.toml")
}

#[track_caller]
fn arguments(port_a: &str, port_b: &str) -> [String; 2] {
    let settings = parse("[1]", port_a, port_b).unwrap_or_else(|errors| panic!("{errors}"));
    [0, 1].map(|index| settings.ports[index].virtual_device_argument().expect("a virtual device"))
}

#[track_caller]
fn keys(workers: &str, port_a: &str, port_b: &str) -> Vec<String> {
    let errors = parse(workers, port_a, port_b).expect_err("a mistake");
    errors.iter().map(|error| error.key().to_owned()).collect()
}

const NULL: &str = "device = \"net_null\"";

#[test]
fn devices_of_one_driver_are_numbered() {
    assert_eq!(arguments(NULL, NULL), ["net_null0", "net_null1"]);
    let mixed = arguments(NULL, "device = \"net_ring\"");
    assert_eq!(mixed, ["net_null0", "net_ring0"]);
}

#[test]
fn relative_files_count_from_the_folder_of_the_file() {
    let pcap = "device = \"net_pcap\"\noptions = { tx_pcap = \"/out.pcap\", rx_pcap = [\"a.pcap\", \"x/b.pcap\"] }";
    let [argument, _] = arguments(pcap, NULL);
    let expected =
        "net_pcap0,rx_pcap=/etc/loadlock/a.pcap,rx_pcap=/etc/loadlock/x/b.pcap,tx_pcap=/out.pcap";
    assert_eq!(argument, expected);
}

#[test]
fn truth_values_become_what_the_driver_reads() {
    let pcap = "device = \"net_pcap\"\noptions = { rx_pcap = \"/a\", infinite_rx = true }";
    let memif = "device = \"net_memif\"\noptions = { role = \"client\", id = 0x10, zero-copy = true, socket-abstract = false, socket = \"/run/m\" }";
    let [first, second] = arguments(pcap, memif);
    assert_eq!(first, "net_pcap0,rx_pcap=/a,infinite_rx=1");
    let expected = "net_memif0,role=client,id=16,socket=/run/m,socket-abstract=no,zero-copy=yes";
    assert_eq!(second, expected);
}

#[test]
fn captures_are_given_as_paths() {
    let pcap = "device = \"net_pcap\"\noptions = { rx_pcap = [\"a\", \"b\"], tx_pcap = \"c\" }";
    let settings = parse("[1]", pcap, NULL).unwrap_or_else(|errors| panic!("{errors}"));
    let device = settings.ports[0].device.as_virtual().expect("virtual");
    assert_eq!(device.driver(), Driver::Pcap);
    let captures: Vec<_> = device.captures_in().chain(device.captures_out()).collect();
    let expected = ["/etc/loadlock/a", "/etc/loadlock/b", "/etc/loadlock/c"];
    assert_eq!(captures, expected.map(std::path::Path::new));
}

#[test]
fn unknown_option_names_the_nearest() {
    let port = "device = \"net_af_packet\"\noptions = { iface = \"eth1\", qpair = 1 }";
    let errors = parse("[1]", port, NULL).expect_err("no such option");
    let text = errors.to_string();
    assert!(text.contains(":7: port[a].options.qpair: no such key"), "{text}");
    assert!(text.contains("did you mean \"qpairs\"?"), "{text}");
}

#[test]
fn options_must_be_a_table() {
    let port = "device = \"net_null\"\noptions = \"size=64\"";
    assert_eq!(keys("[1]", port, NULL), ["port[a].options"]);
}

#[test]
fn option_values_are_checked() {
    for (driver, option, value) in [
        ("net_null", "size", "65536"),
        ("net_null", "size", "\"64\""),
        ("net_null", "no-rx", "1"),
        ("net_memif", "role", "\"master\""),
        ("net_memif", "zero-copy", "\"yes\""),
        ("net_tap", "mac", "\"02:00:00:00:00\""),
        ("net_tap", "iface", "\"\""),
        ("net_tap", "iface", "[\"a\", \"b\"]"),
    ] {
        let port = format!("device = \"{driver}\"\noptions = {{ {option} = {value} }}");
        assert_eq!(keys("[1]", &port, NULL), [format!("port[a].options.{option}")]);
    }
}

#[test]
fn characters_that_are_syntax_to_dpdk_are_refused() {
    for character in [",", "=", "[", "]", " ", "\\t", "\\n", "\\u0000"] {
        let port = format!("device = \"net_tap\"\noptions = {{ iface = \"a{character}b\" }}");
        let errors = parse("[1]", &port, NULL).expect_err("forbidden");
        let problems: Vec<_> = errors.iter().map(|error| error.problem()).collect();
        assert!(matches!(problems[..], [Problem::ForbiddenCharacter { .. }]), "{errors}");
    }
}

#[test]
fn the_folder_of_the_file_is_checked_for_such_characters_too() {
    let text = "[[port]]\nname = \"a\"\ndevice = \"net_pcap\"\noptions = { rx_pcap = \"a\" }\n";
    let errors = Settings::parse(text, "/my files/x.toml").expect_err("a space");
    assert!(errors.to_string().contains("\"/my files/a\" contains ' '"), "{errors}");
}

#[test]
fn drivers_that_need_an_option_say_so() {
    for driver in ["net_pcap", "net_af_packet", "net_virtio_user", "net_vhost"] {
        let port = format!("device = \"{driver}\"");
        let errors = parse("[1]", &port, NULL).expect_err("an option is needed");
        let problems: Vec<_> = errors.iter().map(|error| error.problem()).collect();
        assert!(matches!(problems[..], [Problem::DriverNeeds { .. }]), "{errors}");
    }
}

#[test]
fn fewer_queues_than_workers() {
    let packet = "device = \"net_af_packet\"\noptions = { iface = \"eth1\", qpairs = 2 }";
    assert!(parse("[1, 2]", packet, NULL).is_ok());
    assert_eq!(keys("[1, 2, 3]", packet, NULL), ["port[a].options"]);
    let pcap = "device = \"net_pcap\"\noptions = { rx_pcap = [\"a\", \"b\"], tx_pcap = [\"c\"] }";
    let errors = parse("[1, 2]", pcap, NULL).expect_err("one transmit queue");
    assert!(errors.to_string().contains("1 queue pair, but 2 workers"), "{errors}");
}

#[test]
fn ports_dont_share_interfaces_or_files() {
    let packet = "device = \"net_af_packet\"\noptions = { iface = \"eth1\" }";
    assert_eq!(keys("[1]", packet, packet), ["port[b].options.iface"]);
    let out = "device = \"net_pcap\"\noptions = { tx_pcap = \"o.pcap\" }";
    assert_eq!(keys("[1]", out, out), ["port[b].options.tx_pcap"]);
}

#[test]
fn a_capture_that_is_read_is_not_overwritten() {
    let reads = "device = \"net_pcap\"\noptions = { rx_pcap = \"a.pcap\" }";
    let writes = "device = \"net_pcap\"\noptions = { tx_pcap = \"/etc/loadlock/./a.pcap\" }";
    let errors = parse("[1]", reads, writes).expect_err("overwritten");
    assert!(errors.to_string().contains("would be overwritten"), "{errors}");
    assert_eq!(errors.count(), 1, "{errors}");
}
