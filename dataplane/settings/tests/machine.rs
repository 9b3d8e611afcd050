//! Comparing settings with a machine, on imitated ones.

use std::fs;
use std::path::Path;

use loadlock_settings::{CoreId, Machine, Settings, SettingsErrors};
use tempfile::TempDir;

/// A sysfs with CPUs 0 to 3 and 8, one card, one other PCI device, and hugepages.
fn machine(hugepages: &str) -> (TempDir, Machine) {
    let sysfs = tempfile::tempdir().expect("a folder");
    write(sysfs.path(), "devices/system/cpu/online", "0-3,8\n");
    write(sysfs.path(), "bus/pci/devices/0000:3b:00.0/class", "0x020000\n");
    write(sysfs.path(), "bus/pci/devices/0000:00:1f.0/class", "0x060100\n");
    write(sysfs.path(), "kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", hugepages);
    let machine = Machine::from_sysfs(sysfs.path()).expect("CPUs are listed");
    (sysfs, machine)
}

fn write(folder: &Path, file: &str, contents: impl AsRef<[u8]>) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(path, contents).expect("written");
}

fn settings(folder: &Path, cores: &str, port_a: &str, port_b: &str) -> Settings {
    let text = format!(
        "[dataplane]\nworker_cores = {cores}\n[[port]]\nname = \"a\"\n{port_a}\n[[port]]\nname = \"b\"\n{port_b}\n\
         [[segment]]\nname = \"s\"\nside_a = \"a\"\nside_b = \"b\"\n"
    );
    write(folder, "test.toml", text);
    Settings::load(&folder.join("test.toml")).unwrap_or_else(|errors| panic!("{errors}"))
}

const NULL: &str = "device = \"net_null\"";

fn places(errors: &SettingsErrors) -> Vec<(Option<u32>, &str)> {
    errors.iter().map(|error| (error.line(), error.key())).collect()
}

#[test]
fn a_fitting_machine_is_accepted() {
    let (folder, machine) = machine("512\n");
    let card = "device = \"3b:00.0\"";
    let settings = settings(folder.path(), "[1, 8]", card, NULL);
    settings.check_machine(&machine).unwrap_or_else(|errors| panic!("{errors}"));
}

#[test]
fn cpus_are_read_as_the_kernel_lists_them() {
    let (_folder, machine) = machine("0");
    for core in [0, 1, 3, 8] {
        assert!(machine.has_core(CoreId(core)), "{core}");
    }
    for core in [4, 7, 9] {
        assert!(!machine.has_core(CoreId(core)), "{core}");
    }
}

#[test]
fn cpus_that_are_not_online() {
    let (folder, machine) = machine("512");
    let settings = settings(folder.path(), "[1, 4]", NULL, NULL);
    let errors = settings.check_machine(&machine).expect_err("no CPU 4");
    assert_eq!(places(&errors), [(Some(2), "dataplane.worker_cores[1]")]);
    assert!(errors.to_string().contains("no CPU 4 online, it has 0-3,8"), "{errors}");
}

#[test]
fn no_hugepages_and_no_card() {
    let (folder, machine) = machine("0\n");
    let card = "device = \"0000:3b:00.1\"";
    let settings = settings(folder.path(), "[1]", NULL, card);
    let errors = settings.check_machine(&machine).expect_err("two things missing");
    let expected = [(Some(1), "dataplane.hugepages"), (Some(8), "port[b].device")];
    assert_eq!(places(&errors), expected);
    assert!(errors.to_string().contains("network cards: 0000:3b:00.0."), "{errors}");
}

#[test]
fn hugepages_of_one_size_only() {
    let (folder, machine) = machine("512\n");
    let text = |size: &str| format!("[1]\nhugepage_size = \"{size}\"");
    let small = settings(folder.path(), &text("2M"), NULL, NULL);
    small.check_machine(&machine).unwrap_or_else(|errors| panic!("{errors}"));
    let large = settings(folder.path(), &text("1G"), NULL, NULL);
    let errors = large.check_machine(&machine).expect_err("there are none of 1 GiB");
    assert_eq!(places(&errors), [(Some(3), "dataplane.hugepage_size")]);
    assert!(errors.to_string().contains("hugepages-1048576kB/nr_hugepages"), "{errors}");
}

#[test]
fn workers_far_from_the_card_they_serve() {
    let (folder, _) = machine("512");
    write(folder.path(), "devices/system/node/node0/cpulist", "0-2\n");
    write(folder.path(), "devices/system/node/node1/cpulist", "3,8\n");
    write(folder.path(), "devices/system/node/online", "0-1\n");
    write(folder.path(), "bus/pci/devices/0000:3b:00.0/numa_node", "1\n");
    write(folder.path(), "bus/pci/devices/0000:00:1f.0/numa_node", "-1\n");
    let machine = Machine::from_sysfs(folder.path()).expect("CPUs are listed");
    assert_eq!(
        [2, 3, 8, 9].map(|core| machine.node_of(CoreId(core))),
        [Some(0), Some(1), Some(1), None]
    );
    let card = "device = \"3b:00.0\"";
    let far = settings(folder.path(), "[8, 2]\nnuma = \"require\"", card, NULL);
    let errors = far.check_machine(&machine).expect_err("CPU 2 is on node 0");
    assert_eq!(places(&errors), [(Some(2), "dataplane.worker_cores[1]")]);
    let report = errors.to_string();
    assert!(
        report.contains("CPU 2 is on NUMA node 0, and port \"a\"") && report.contains("(3,8)"),
        "{report}"
    );
    for (cores, port) in [
        ("[8, 3]\nnuma = \"require\"", card),
        ("[8, 2]\nnuma = \"require\"", NULL),
        ("[8, 2]", card),
    ] {
        let near = settings(folder.path(), cores, port, NULL);
        near.check_machine(&machine).unwrap_or_else(|errors| panic!("{cores}: {errors}"));
    }
}

#[test]
fn a_chip_of_a_relay_that_is_not_there() {
    let (folder, machine) = machine("512");
    let chip = folder.path().join("gpiochip0");
    let segment = format!(
        "{NULL}\n[[segment]]\nname = \"s\"\nside_a = \"a\"\nside_b = \"b\"\ndataplane_dead = \"open\"\nbypass_gpio = \"{}:3\"",
        chip.display()
    );
    let text = format!(
        "[dataplane]\nworker_cores = [1]\n[[port]]\nname = \"a\"\n{NULL}\n[[port]]\nname = \"b\"\n{segment}\n"
    );
    let settings = Settings::parse(&text, "test.toml").unwrap_or_else(|errors| panic!("{errors}"));
    let errors = settings.check_machine(&machine).expect_err("no chip");
    assert_eq!(places(&errors), [(Some(14), "segment[s].bypass_gpio")]);
    assert!(errors.to_string().contains("gpiodetect"), "{errors}");
    write(folder.path(), "gpiochip0", "");
    settings.check_machine(&machine).unwrap_or_else(|errors| panic!("{errors}"));
}

#[test]
fn no_sysfs() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = Machine::from_sysfs(folder.path()).expect_err("no CPUs");
    assert!(error.to_string().contains("devices/system/cpu/online"), "{error}");
}

#[test]
fn folder_of_a_written_capture_must_exist() {
    let (folder, machine) = machine("512");
    let port = "device = \"net_pcap\"\noptions = { tx_pcap = \"none/out.pcap\" }";
    let settings = settings(folder.path(), "[1]", port, NULL);
    let errors = settings.check_machine(&machine).expect_err("no folder");
    assert_eq!(places(&errors), [(Some(6), "port[a].options.tx_pcap")]);
    assert!(errors.to_string().contains("mkdir -p"), "{errors}");
}

/// A classic capture header of the given link type, microseconds, little endian.
fn header(link_type: u8) -> Vec<u8> {
    let mut header = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    header.extend([link_type, 0, 0, 0]);
    header
}

#[test]
fn captures_that_net_pcap_cannot_read() {
    let ethernet = header(1);
    let cases: [(&str, Option<Vec<u8>>, &str); 9] = [
        ("missing", None, "there is no such file"),
        ("empty", Some(Vec::new()), "the file is empty"),
        ("short", Some(ethernet[..23].to_vec()), "cut off after 23 bytes"),
        ("record", Some([&ethernet[..], &[0; 15]].concat()), "cut off after 39 bytes"),
        ("pcapng", Some(vec![0x0a, 0x0d, 0x0d, 0x0a, 0, 0]), "editcap -F pcap"),
        ("gzip", Some(vec![0x1f, 0x8b, 8]), "gunzip"),
        ("zstd", Some(vec![0x28, 0xb5, 0x2f, 0xfd, 0]), "unzstd"),
        ("text", Some(b"hello world".to_vec()), "68 65 6c 6c"),
        ("cooked", Some(header(113)), "link type is 113"),
    ];
    let (folder, machine) = machine("512");
    for (name, contents, words) in cases {
        if let Some(contents) = contents {
            write(folder.path(), name, contents);
        }
        let port = format!("device = \"net_pcap\"\noptions = {{ rx_pcap = \"{name}\" }}");
        let settings = settings(folder.path(), "[1]", &port, NULL);
        let errors = settings.check_machine(&machine).expect_err(name);
        assert_eq!(places(&errors), [(Some(6), "port[a].options.rx_pcap")]);
        assert!(errors.to_string().contains(words), "{errors}");
    }
}

#[test]
fn a_folder_is_no_capture() {
    let (folder, machine) = machine("512");
    let port = "device = \"net_pcap\"\noptions = { rx_pcap = \"devices\" }";
    let settings = settings(folder.path(), "[1]", port, NULL);
    let errors = settings.check_machine(&machine).expect_err("a folder");
    assert!(errors.to_string().contains("not a regular file"), "{errors}");
}

#[test]
fn captures_that_net_pcap_can_read() {
    let (folder, machine) = machine("512");
    let big_endian_nanoseconds =
        [&[0xa1, 0xb2, 0x3c, 0x4d][..], &[0; 16], &[0, 0, 0, 1], &[0; 16], &[9]].concat();
    write(folder.path(), "big", big_endian_nanoseconds);
    write(folder.path(), "none", header(1));
    let port = "device = \"net_pcap\"\noptions = { rx_pcap = [\"big\", \"none\"] }";
    let settings = settings(folder.path(), "[1]", port, NULL);
    settings.check_machine(&machine).unwrap_or_else(|errors| panic!("{errors}"));
}

#[test]
fn a_capture_without_frames_is_not_repeated() {
    let (folder, machine) = machine("512");
    write(folder.path(), "none", header(1));
    let port = "device = \"net_pcap\"\noptions = { rx_pcap = \"none\", infinite_rx = true }";
    let settings = settings(folder.path(), "[1]", port, NULL);
    let errors = settings.check_machine(&machine).expect_err("nothing to repeat");
    assert!(errors.to_string().contains("has no frame"), "{errors}");
}
