//! A relay at GPIO lines: the dataplane's process against an imitation of the kernel's character device (`relay/gpio.c`), which
//! notes each request as `linux/gpio.h` has it. gpio-sim would be the better peer; kernels without GPIOLIB lack it.

mod appliance;

use std::path::Path;
use std::process::Command;

use appliance::{PATIENCE, Process, Site, dataplane, wait_until};

const CHIP: &str = "gpiochip0";

fn words(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Values of a line, in the order in which they were set.
fn values<'a>(words: &'a [String], line: &str) -> Vec<&'a str> {
    words.iter().filter_map(|word| word.strip_prefix(&format!("set {line} "))).collect()
}

#[test]
fn a_gpio_relay_is_armed_pulsed_and_disarmed_and_left_without_edges_by_a_kill() {
    let Some(site) = Site::open() else { return };
    let library = site.path("gpio.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/relay/gpio.c");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl");
    let built = compiler.status().unwrap();
    assert!(built.success());
    let chip = site.path(CHIP);
    std::fs::write(&chip, "").unwrap();
    site.configure(&format!(
        "{}[[port]]\nname = \"a\"\ndevice = \"net_null\"\n[[port]]\nname = \"b\"\ndevice = \"net_null\"\n\
         [[segment]]\nname = \"fab\"\nside_a = \"a\"\nside_b = \"b\"\ndataplane_dead = \"open\"\nbypass_heartbeat_ms = 50\n\
         bypass_gpio = \"{chip}:4\"\nbypass_gpio_arm = \"{chip}:5:active-low\"\n",
        site.base("policy_wait_ms = 0", ""),
        chip = chip.display()
    ));
    let start = |log: &Path| {
        let preload = format!("LD_PRELOAD={}", library.display());
        let log = format!("RELAY_LOG={}", log.display());
        let program = dataplane();
        let arguments = [preload.as_str(), &log, program.to_str().unwrap()];
        Process::start("dataplane", Path::new("/usr/bin/env"), &arguments, &site)
    };

    let log = site.path("first.log");
    let mut process = start(&log);
    wait_until("six edges", PATIENCE, || values(&words(&log), "4").len() > 6);
    assert!(process.stop().success());
    let said = words(&log);
    assert_eq!(said[..2], ["request 4 active-high 0 loadlock", "request 5 active-low 1 loadlock"]);
    assert_eq!(said.iter().filter(|word| word.starts_with("request")).count(), 2);
    // Set without a change when it was armed and when it was disarmed; between, each heartbeat is an edge.
    let pulses = values(&said, "4");
    let (first, last) = (pulses[0], pulses[pulses.len() - 2]);
    assert_eq!((first, pulses.last()), ("0", Some(&last)));
    let beats = &pulses[..pulses.len() - 1];
    assert!(beats.windows(2).all(|pair| pair[0] != pair[1]), "{said:?}");
    let apart = values(&said, "5");
    assert_eq!(apart.last(), Some(&"0"), "{said:?}");
    assert!(apart[..apart.len() - 1].iter().all(|value| *value == "1"), "{said:?}");

    let log = site.path("second.log");
    let mut process = start(&log);
    wait_until("three edges", PATIENCE, || values(&words(&log), "4").len() > 3);
    process.kill();
    let said = words(&log);
    assert!(values(&said, "5").iter().all(|value| *value == "1"), "nobody disarmed it: {said:?}");
    assert_eq!(words(&log), said, "no edge after the end");
}
