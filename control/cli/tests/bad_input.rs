//! Bad input: one message with the cause and the next step, the documented exit code, and nothing lost.

mod appliance;

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::process::Command;

use appliance::captures::write_conversations;
use appliance::{PATIENCE, Process, Site, wait_until};

/// Exit codes of `loadlock-dataplane`, as its help has them.
const DATAPLANE_CODES: [(i32, &str); 3] = [
    (3, "configuration or machine"),
    (5, "a port couldn't be opened"),
    (6, "the exchange couldn't be made or opened"),
];
/// Exit codes of `loadlock`, as its help has them.
const LOADLOCK_CODES: [(i32, &str); 3] = [
    (3, "a configuration, policy or scenario file has mistakes"),
    (7, "the store failed"),
    (9, "couldn't start, or died"),
];

const SEGMENT: &str = "[[segment]]\nname = \"fab\"\nside_a = \"a\"\nside_b = \"b\"\n";

fn port(name: &str, device: &str, options: &str) -> String {
    format!("[[port]]\nname = \"{name}\"\ndevice = \"{device}\"\n{options}\n")
}

/// Two ports without frames, good for any start.
fn quiet_ports() -> String {
    let quiet = |name| port(name, "net_null", "options = { no-rx = true }");
    format!("{}{}{SEGMENT}", quiet("a"), quiet("b"))
}

/// A configuration whose port `a` reads this capture.
fn reads(site: &Site, capture: &str) -> String {
    let options = format!("options = {{ rx_pcap = \"{capture}\" }}");
    let other = port("b", "net_null", "options = { no-rx = true }");
    format!("{}{}{other}{SEGMENT}", site.base("", ""), port("a", "net_pcap", &options))
}

/// The process ends with this code, and one message of it has all these words.
fn refuses(mut process: Process, code: i32, words: &[&str]) {
    let status = process.wait();
    let log = process.log();
    assert_eq!(status.code(), Some(code), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    for word in words {
        assert!(log.contains(word), "{word:?} isn't in:\n{log}");
    }
    // The message may be of several lines, but there is only one of ours.
    // What the dataplane says while it starts beside a control that refuses isn't one.
    let says = |line: &&str| line.contains(": running: ") || line.ends_with("waits for a policy");
    let program = log.lines().filter(|line| line.starts_with("loadlock") && !says(line)).count();
    assert!(program <= 1, "more than one message:\n{log}");
}

/// With this configuration the dataplane refuses to start.
fn dataplane_refuses(site: &Site, text: &str, code: i32, words: &[&str]) {
    site.configure(text);
    refuses(site.dataplane(), code, words);
}

#[test]
fn the_exit_codes_are_those_of_the_help() {
    for (program, codes) in
        [(appliance::dataplane(), DATAPLANE_CODES), (appliance::loadlock(), LOADLOCK_CODES)]
    {
        let help = Command::new(&program).arg("--help").output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        for (code, meaning) in codes {
            let is_line = |line: &str| {
                line.trim_start().starts_with(&format!("{code} ")) && line.contains(meaning)
            };
            assert!(help.lines().any(is_line), "{} {code} {meaning}:\n{help}", program.display());
        }
    }
}

#[test]
fn cores_that_cannot_be_are_refused() {
    let Some(site) = Site::open() else { return };
    let with = |cores: &str| {
        let base =
            site.base("", "").replace("worker_cores = [1]", &format!("worker_cores = {cores}"));
        format!("{base}{}", quiet_ports())
    };
    dataplane_refuses(
        &site,
        &with("[1023]"),
        3,
        &["no CPU 1023 online", "use a CPU that is online"],
    );
    dataplane_refuses(&site, &with("[0]"), 3, &["already used by", "change one of the two"]);
    dataplane_refuses(
        &site,
        &with("[1, 1]"),
        3,
        &["CPU 1 is already used", "each worker needs a core"],
    );
    // Control reads the same file and says the same.
    refuses(site.control(), 3, &["CPU 1 is already used", "each worker needs a core"]);
}

#[test]
fn too_few_queues_are_refused() {
    let Some(site) = Site::open() else { return };
    write_conversations(&site.path("a.pcap"), &site.path("b.pcap"));
    let text = reads(&site, "a.pcap").replace("worker_cores = [1]", "worker_cores = [1, 2]");
    let words = ["1 queue pair", "2 workers need one each", "use fewer worker_cores"];
    dataplane_refuses(&site, &text, 3, &words);
}

#[test]
fn missing_hugepages_are_named() {
    let Some(site) = Site::open() else { return };
    let pools = fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten();
    let count = |pool: std::io::Result<fs::DirEntry>| {
        let count = fs::read_to_string(pool.unwrap().path().join("nr_hugepages")).unwrap();
        count.trim().parse::<u64>().unwrap()
    };
    let reserved: u64 = pools.map(count).sum();
    let text = site.base("", "").replace("hugepages = false", "hugepages = true");
    let text = format!("{text}{}", quiet_ports());
    if reserved == 0 {
        dataplane_refuses(&site, &text, 3, &["no hugepages reserved", "vm.nr_hugepages"]);
    } else {
        // More than the machine can have reserved.
        let text = text.replace("[dataplane]\n", "[dataplane]\nmemory_mib = 1048576\n");
        dataplane_refuses(&site, &text, 4, &["hugepages"]);
    }
}

#[test]
fn ports_that_do_not_exist_are_named() {
    let Some(site) = Site::open() else { return };
    let other = port("b", "net_null", "options = { no-rx = true }");
    let card = port("a", "ffff:ff:1f.7", "");
    let text = format!("{}{card}{other}{SEGMENT}", site.base("", ""));
    dataplane_refuses(&site, &text, 3, &["no PCI device \"ffff:ff:1f.7\"", "fix: "]);
    let interface = port("a", "net_af_packet", "options = { iface = \"llnone0\" }");
    let text = format!("{}{interface}{other}{SEGMENT}", site.base("", ""));
    dataplane_refuses(
        &site,
        &text,
        5,
        &["port a", "iface=llnone0", "No such device", "Check that"],
    );
}

#[test]
fn captures_that_net_pcap_cannot_read_are_refused() {
    let Some(site) = Site::open() else { return };
    write_conversations(&site.path("a.pcap"), &site.path("b.pcap"));
    let whole = fs::read(site.path("a.pcap")).unwrap();
    fs::write(site.path("cut.pcap"), &whole[..30]).unwrap();
    // Section header block of pcapng, little-endian.
    let mut pcapng = vec![0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0];
    pcapng.extend([0xff; 8]);
    pcapng.extend([28, 0, 0, 0]);
    fs::write(site.path("next.pcapng"), &pcapng).unwrap();
    for (file, words) in [
        ("cut.pcap", ["cut off after 30 bytes", "copy or record the capture again"]),
        ("next.pcapng", ["the file is pcapng", "editcap -F pcap"]),
        ("none.pcap", ["there is no such file", "correct the path"]),
    ] {
        dataplane_refuses(&site, &reads(&site, file), 3, &[&words[..], &[file]].concat());
        refuses(site.control(), 3, &words);
    }
}

#[test]
fn a_foreign_file_in_the_exchanges_place_stays_as_it_is() {
    let Some(site) = Site::open() else { return };
    let content = "somebody's notes, long enough for a header\n".repeat(200);
    fs::create_dir_all(site.exchange().parent().unwrap()).unwrap();
    fs::write(site.exchange(), &content).unwrap();
    let text = format!("{}{}", site.base("", ""), quiet_ports());
    let words = ["isn't a Loadlock exchange", "set `exchange.path` to another name"];
    dataplane_refuses(&site, &text, 6, &words);
    assert_eq!(fs::read_to_string(site.exchange()).unwrap(), content);
}

/// Control doesn't touch it, and says so; a dataplane replaces it, and control publishes its policy again.
#[test]
fn an_exchange_of_another_version_is_not_attached_to() {
    let Some(site) = Site::open() else { return };
    site.configure(&format!("{}{}", site.base("", ""), quiet_ports()));
    let control = site.control();
    let mut dataplane = site.dataplane();
    let before = site.wait_until_running();
    assert!(dataplane.stop().success(), "{}", dataplane.log());
    drop(control);
    let mut file = fs::OpenOptions::new().write(true).open(site.exchange()).unwrap();
    file.seek(SeekFrom::Start(8)).unwrap();
    file.write_all(&999_u64.to_le_bytes()).unwrap();

    let control = site.control();
    wait_until("control has refused the exchange", PATIENCE, || {
        control.log().contains("has layout version 999")
    });
    assert!(control.log().contains("install the same release"), "{}", control.log());
    let status = site.status();
    assert_eq!(status["control"]["state"], "waiting for dataplane");
    let dataplane = site.dataplane();
    let after = site.wait_until_running();
    assert_eq!(after["control"]["policy_version"], before["control"]["policy_version"]);
    let log = dataplane.log();
    assert!(log.contains("layout version 999") && log.contains("A new exchange was made"), "{log}");
}

#[test]
fn a_second_process_of_either_kind_is_refused_and_the_first_goes_on() {
    let Some(site) = Site::open() else { return };
    site.configure(&format!("{}{}", site.base("", ""), quiet_ports()));
    let _control = site.control();
    let _dataplane = site.dataplane();
    let before = site.wait_until_running();
    refuses(site.dataplane(), 6, &["another loadlock-dataplane runs", "stop it first"]);
    refuses(site.control(), 7, &["another process has it open", "stop it first"]);
    let after = site.wait_until_running();
    assert_eq!(after["dataplane"]["pid"], before["dataplane"]["pid"]);
    assert_eq!(after["dataplane"]["starts"], 1);
}

#[test]
fn a_store_that_is_none_stays_as_it_is() {
    let Some(site) = Site::open() else { return };
    site.configure(&format!("{}{}", site.base("", ""), quiet_ports()));
    let foreign = "somebody's notes, by no means a database\n".repeat(100);
    fs::write(site.path("loadlock.db"), &foreign).unwrap();
    refuses(site.control(), 7, &["loadlock.db", "stays untouched", "store"]);
    assert_eq!(fs::read_to_string(site.path("loadlock.db")).unwrap(), foreign);
}

#[test]
fn a_corrupt_store_stays_as_it_is_and_the_run_ends() {
    let Some(site) = Site::open() else { return };
    site.configure(&format!("{}{}", site.base("", ""), quiet_ports()));
    let mut control = site.control();
    wait_until("control answers", PATIENCE, || site.status()["control"]["state"].is_string());
    assert!(control.stop().success(), "{}", control.log());
    let mut store = fs::read(site.path("loadlock.db")).unwrap();
    let pages = store.len() / 4096;
    assert!(pages > 2, "the store has {pages} pages");
    for byte in &mut store[4096..] {
        *byte = 0x5a;
    }
    fs::write(site.path("loadlock.db"), &store).unwrap();
    // With its copy beside it the policy would be in force again (`policy.rs`).
    fs::remove_file(site.path("loadlock.db.in-force")).unwrap();
    refuses(site.control(), 7, &["is damaged", "stays untouched", "restore a backup"]);
    assert_eq!(fs::read(site.path("loadlock.db")).unwrap(), store);
    refuses(site.run(), 9, &["is damaged", "control refused to start with exit code 7"]);
    assert_eq!(fs::read(site.path("loadlock.db")).unwrap(), store);
}
