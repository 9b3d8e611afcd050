//! The whole report of a file with eight mistakes, as an operator reads it.

use loadlock_settings::Settings;

const FILE: &str = r#"# Bay 3, lithography
[dataplane]
main_core = 0
worker_cores = [1, 2, 1]
mbuf = 65535
burst_packets = "32"
rx_descriptors = 16

[[port]]
name = "litho"
device = "net_af_packt"

[[port]]
name = "plant"
device = "0000:3b:00.0"
options = { iface = "eth1" }

[[segment]]
name = "bay-3"
side_a = "litho"
side_b = "plnat"
mode = "learning"
"#;

const REPORT: &str = r#"loadlock.toml:4: dataplane.worker_cores[2]: CPU 1 is already used by dataplane.worker_cores[0] on line 4; each worker needs a core of its own
    fix: change one of the two.
loadlock.toml:5: dataplane.mbuf: no such key
    fix: did you mean "mbufs"?
loadlock.toml:6: dataplane.burst_packets: "32" is a text, it must be a whole number without quotes
    fix: write a whole number without quotes; allowed is 4 to 64 frames.
loadlock.toml:7: dataplane.rx_descriptors: 16 isn't allowed, allowed is 64 to 8192 descriptors
    fix: write an allowed value, or delete the line for the default 1024.
loadlock.toml:11: port[litho].device: "net_af_packt" isn't allowed, allowed is a PCI address such as "0000:3b:00.0", or a virtual driver: net_pcap, net_null, net_af_packet, net_tap, net_memif, net_virtio_user, net_vhost, net_ring
    fix: did you mean "net_af_packet"?
loadlock.toml:16: port[plant].options: only virtual drivers take options, and device is the card "0000:3b:00.0"
    fix: delete the options.
loadlock.toml:21: segment[bay-3].side_b: there is no [[port]] named "plnat"
    fix: did you mean "plant"? The ports are "litho", "plant".
loadlock.toml:22: segment[bay-3].mode: "learning" isn't allowed, allowed is "learn", "monitor" or "enforce"
    fix: did you mean "learn"?
8 mistakes in loadlock.toml; nothing was started. `loadlock check --reference` explains every key."#;

#[test]
fn eight_mistakes_read_well() {
    let errors = Settings::parse(FILE, "loadlock.toml").expect_err("eight mistakes");
    assert_eq!(errors.to_string(), REPORT);
    assert_eq!(errors.count(), 8);
}
