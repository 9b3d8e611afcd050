//! The scripts of `scripts/host` on made-up machines: a `/proc`, `/sys` and `/etc` below a folder, and programs that note how they were called.
//! Nothing of this machine is changed.

mod machine;

use std::collections::BTreeMap;
use std::path::Path;

use machine::{Finding, Machine};

fn has(findings: &[Finding], level: &str, id: &str, part: &str) -> bool {
    findings
        .iter()
        .any(|found| found.level == level && found.id == id && found.found.contains(part))
}

fn problems(findings: &[Finding]) -> Vec<&str> {
    let bad = findings.iter().filter(|found| found.level == "problem" || found.level == "warning");
    bad.map(|found| found.id.as_str()).collect()
}

#[test]
fn a_good_machine_has_nothing_to_mend() {
    let machine = Machine::good();
    let (code, findings) = machine.check(&[]);
    assert_eq!((code, problems(&findings)), (0, vec![]));
    assert!(has(&findings, "good", "driver", "vfio-pci"), "{findings:?}");
    assert!(has(&findings, "good", "isolation", "isolated"), "{findings:?}");
}

#[test]
fn each_fault_is_found_with_what_to_do() {
    type Fault = fn(&Machine);
    let faults: [(&str, Fault, i32, &str, &str); 13] = [
        (
            "hugepages",
            |m| m.write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0"),
            1,
            "no hugepages",
            "scripts/host/setup",
        ),
        (
            "hugepages",
            |m| m.write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "3"),
            0,
            "6 of 4096 MiB",
            "scripts/host/setup",
        ),
        (
            "hugetlbfs",
            |m| m.write("proc/mounts", "proc /proc proc rw 0 0\n"),
            1,
            "no hugetlbfs",
            "dev-hugepages.mount",
        ),
        ("iommu", |m| m.remove("sys/kernel/iommu_groups"), 1, "no IOMMU", "VT-d"),
        (
            "numa",
            |m| m.write("sys/bus/pci/devices/0000:3b:00.1/numa_node", "1"),
            0,
            "on NUMA node 1",
            "4-7",
        ),
        (
            "isolation",
            |m| m.write("sys/devices/system/cpu/isolated", "3"),
            0,
            "isolated are 3",
            "--cores 2,3",
        ),
        ("ticks", |m| m.write("proc/cmdline", "iommu=pt"), 0, "nohz_full", "setup"),
        (
            "siblings",
            |m| m.write("sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2,6"),
            0,
            "core 6",
            "online",
        ),
        (
            "governor",
            |m| m.write("sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "schedutil"),
            0,
            "schedutil",
            "setup",
        ),
        (
            "driver",
            |m| m.drive("0000:3b:00.0", Some("ice")),
            1,
            "the kernel has it (ice",
            "scripts/host/bind 0000:3b:00.0",
        ),
        (
            "driver",
            |m| m.drive("0000:3b:00.0", None),
            1,
            "no driver",
            "scripts/host/bind 0000:3b:00.0",
        ),
        (
            "pcie",
            |m| m.write("sys/bus/pci/devices/0000:3b:00.0/current_link_width", "4"),
            0,
            "4 of the 16",
            "slot",
        ),
        (
            "cores",
            |m| m.write("sys/devices/system/cpu/online", "0-2"),
            1,
            "isn't there",
            "worker_cores",
        ),
    ];
    for (id, fault, code, found, todo) in faults {
        let machine = Machine::good();
        fault(&machine);
        let (exit, findings) = machine.check(&[]);
        let mine =
            findings.iter().find(|finding| finding.id == id && finding.found.contains(found));
        let mine = mine.unwrap_or_else(|| panic!("{id}: {findings:?}"));
        assert!(mine.todo.contains(todo), "{mine:?}");
        assert_eq!(exit, code, "{mine:?}");
        assert!(problems(&findings).iter().all(|other| *other == id), "{id}: {findings:?}");
    }
}

#[test]
fn a_bifurcated_card_is_judged_by_what_its_driver_reports() {
    let machine = Machine::good();
    machine.mlx5("0000:3b:00.0", "ens1f0", 63);
    machine.mlx5("0000:3b:00.1", "ens1f1", 1);
    machine.remove("sys/kernel/iommu_groups");
    let (code, findings) = machine.check(&[]);
    assert!(has(&findings, "good", "driver", "mlx5_core shares it"), "{findings:?}");
    assert!(has(&findings, "note", "firmware", "16.35.2000"), "{findings:?}");
    assert!(has(&findings, "good", "rss", "symmetric"), "{findings:?}");
    assert!(has(&findings, "good", "queues", "63 queues for 2"), "{findings:?}");
    assert!(has(&findings, "problem", "queues", "1 queues, and there are 2"), "{findings:?}");
    // Such a card needs no IOMMU.
    assert!(has(&findings, "note", "iommu", "no port here needs one"), "{findings:?}");
    assert_eq!(code, 1);
    machine.write("sys/class/net/ens1f0/mtu", "1280");
    assert!(has(&machine.check(&[]).1, "warning", "mtu", "1280"));
}

#[test]
fn a_virtual_machine_says_what_it_does_not_let_one_see() {
    let machine = Machine::virtual_machine();
    let (code, findings) = machine.check(&["--cores", "1"]);
    assert!(has(&findings, "note", "virtual", "virtual machine"), "{findings:?}");
    assert!(has(&findings, "note", "governor", "doesn't let"), "{findings:?}");
    assert!(has(&findings, "problem", "hugepages", "no hugepages"), "{findings:?}");
    assert_eq!(code, 1);
}

#[test]
fn check_writes_nothing_and_refuses_what_it_does_not_know() {
    let machine = Machine::good();
    let before = machine.tree();
    machine.check(&[]);
    assert_eq!(machine.tree(), before);
    for (wrong, named) in [
        (&["--cores", "two"][..], "2-5,8"),
        (&["--port", "eth0"], "0000:3b:00.0"),
        (&["--memory", "1G"], "MiB"),
        (&["--config"], "--help"),
        (&["--config", "/nonexistent.toml"], "/nonexistent.toml"),
        (&["--fix"], "--help"),
    ] {
        let output = machine.run("check", wrong);
        assert_eq!(output.code, 2, "{wrong:?}: {}", output.text);
        assert!(output.text.contains(named), "{wrong:?}: {}", output.text);
    }
    let text = machine.run("check", &[]).text;
    assert!(text.ends_with("0 problems, 0 warnings\n"), "{text}");
}

fn undone(prepare: impl Fn(&Machine), arguments: &[&[&str]]) -> BTreeMap<String, String> {
    let machine = Machine::good();
    prepare(&machine);
    let before = machine.tree();
    let mut applied = BTreeMap::new();
    for words in arguments {
        let output = machine.run("setup", &[*words, &["--apply"]].concat());
        assert_eq!(output.code, 0, "{}", output.text);
        applied = machine.tree();
        assert_ne!(applied, before);
    }
    let output = machine.run("setup", &["--undo"]);
    assert_eq!(output.code, 0, "{}", output.text);
    assert_eq!(machine.tree(), before, "{}", output.text);
    applied
}

fn file<'a>(tree: &'a BTreeMap<String, String>, path: &str) -> &'a str {
    tree.get(path).unwrap_or_else(|| panic!("{path} isn't in {:?}", tree.keys()))
}

#[test]
fn setup_is_taken_back_byte_for_byte() {
    let applied = undone(|_| (), &[&[]]);
    let grub = file(&applied, "etc/default/grub.d/60-loadlock.cfg");
    assert!(
        grub.contains(
            "$GRUB_CMDLINE_LINUX_DEFAULT intel_iommu=on iommu=pt isolcpus=managed_irq,domain,2,3"
        ),
        "{grub}"
    );
    assert!(file(&applied, "etc/sysctl.d/60-loadlock.conf").contains("vm.nr_hugepages = 1024"));
    assert!(file(&applied, "etc/tmpfiles.d/loadlock.conf").contains("cpu3/cpufreq"));
    assert!(file(&applied, "etc/systemd/system/dev-shm-loadlock.mount").contains("huge=always"));
    // Twice with other values; and with pages of 1 GiB, which the kernel's command line reserves.
    let applied = undone(
        |_| (),
        &[&["--hugepages", "7"], &["--hugepages", "3", "--page", "1G", "--iommu", "amd"]],
    );
    let grub = file(&applied, "etc/default/grub.d/60-loadlock.cfg");
    assert!(
        grub.contains("default_hugepagesz=1G hugepagesz=1G hugepages=3")
            && !grub.contains("intel_iommu"),
        "{grub}"
    );
    assert!(!file(&applied, "etc/sysctl.d/60-loadlock.conf").contains("nr_hugepages"));
}

#[test]
fn files_of_the_same_name_come_back_with_their_mode() {
    let prepare = |machine: &Machine| {
        machine.write("etc/default/grub.d/60-loadlock.cfg", "GRUB_CMDLINE_LINUX=mine\n");
        machine.write("etc/sysctl.d/60-loadlock.conf", "");
        machine.mode("etc/default/grub.d/60-loadlock.cfg", 0o640);
    };
    undone(prepare, &[&[], &["--hugepages", "9"]]);
}

#[test]
fn without_apply_nothing_changes_and_the_plan_is_shown() {
    let machine = Machine::good();
    let before = machine.tree();
    let output = machine.run("setup", &[]);
    assert_eq!(machine.tree(), before);
    assert!(
        output.text.contains("nothing is changed") && output.text.contains("isolcpus="),
        "{}",
        output.text
    );
    assert!(machine.run("setup", &["--undo"]).text.contains("nothing to take back"));
    for (wrong, named) in [
        (&["--page", "4K"][..], "2M and 1G"),
        (&["--cores", "0-3"], "core 0"),
        (&["--hugepages", "0"], "from 1 on"),
    ] {
        let output = machine.run("setup", wrong);
        assert!(output.code == 2 && output.text.contains(named), "{wrong:?}: {}", output.text);
    }
}

#[test]
fn grub_reads_the_kernels_arguments_behind_those_that_are_there() {
    let machine = Machine::good();
    machine.run("setup", &["--apply"]);
    let file = machine.path("etc/default/grub.d/60-loadlock.cfg");
    let script = format!(
        "GRUB_CMDLINE_LINUX_DEFAULT=quiet; . {}; echo \"$GRUB_CMDLINE_LINUX_DEFAULT\"",
        file.display()
    );
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("quiet intel_iommu=on iommu=pt "), "{text}");
}

fn calls(machine: &Machine) -> String {
    std::fs::read_to_string(machine.path("calls")).unwrap_or_default()
}

#[test]
fn ports_are_bound_and_given_back() {
    let machine = Machine::good();
    machine.drive("0000:3b:00.0", Some("ice"));
    machine.program("driverctl", "");
    let output = machine.run("bind", &["0000:3b:00.0", "0000:3B:00.1"]);
    assert_eq!(output.code, 0, "{}", output.text);
    assert_eq!(calls(&machine), "driverctl set-override 0000:3b:00.0 vfio-pci\n");
    assert!(output.text.contains("0000:3b:00.1: bound to vfio-pci already"), "{}", output.text);
    machine.drive("0000:3b:00.0", Some("vfio-pci"));
    assert_eq!(machine.run("unbind", &["0000:3b:00.0"]).code, 0);
    assert!(
        calls(&machine).ends_with("driverctl unset-override 0000:3b:00.0\n"),
        "{}",
        calls(&machine)
    );
}

#[test]
fn without_driverctl_the_driver_of_before_is_noted() {
    let machine = Machine::good();
    machine.drive("0000:3b:00.0", Some("ice"));
    machine.program("dpdk-devbind.py", "");
    let before = machine.tree();
    let output = machine.run("bind", &["0000:3b:00.0"]);
    assert!(
        output.code == 0 && output.text.contains("only until the next start"),
        "{}",
        output.text
    );
    machine.drive("0000:3b:00.0", Some("vfio-pci"));
    machine.run("unbind", &["0000:3b:00.0"]);
    assert_eq!(
        calls(&machine),
        "dpdk-devbind.py --bind=vfio-pci 0000:3b:00.0\ndpdk-devbind.py --bind=ice 0000:3b:00.0\n"
    );
    machine.drive("0000:3b:00.0", Some("ice"));
    machine.remove("calls");
    assert!(before.keys().eq(machine.tree().keys()));
    let output = machine.run("unbind", &["0000:3b:00.1"]);
    assert!(output.code == 1 && output.text.contains("nobody knows"), "{}", output.text);
}

#[test]
fn what_must_not_be_bound_stays() {
    let machine = Machine::good();
    machine.program("driverctl", "");
    machine.mlx5("0000:3b:00.0", "ens1f0", 4);
    let output = machine.run("bind", &["0000:3b:00.0"]);
    assert!(output.code == 0 && output.text.contains("stays with mlx5_core"), "{}", output.text);
    machine.drive("0000:3b:00.1", Some("ice"));
    machine.interface("0000:3b:00.1", "ens1f1");
    machine.program("ip", "echo '2: ens1f1 inet 192.0.2.7/24 scope global ens1f1'");
    let output = machine.run("bind", &["0000:3b:00.1"]);
    assert!(output.code == 1 && output.text.contains("192.0.2.7/24"), "{}", output.text);
    assert!(!calls(&machine).contains("driverctl"), "{}", calls(&machine));
    let output = machine.run("bind", &["--dry-run", "--force", "0000:3b:00.1"]);
    assert!(output.text.contains("+ driverctl set-override 0000:3b:00.1"), "{}", output.text);
    assert!(!calls(&machine).contains("driverctl"), "{}", calls(&machine));
    assert_eq!(machine.run("bind", &["0000:99:00.0"]).code, 2);
    assert_eq!(machine.run("bind", &[]).code, 2);
}

#[test]
fn the_scripts_pass_shellcheck() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = std::process::Command::new("shellcheck")
        .args([
            "-x",
            "scripts/host/check",
            "scripts/host/setup",
            "scripts/host/bind",
            "scripts/host/unbind",
            "scripts/host/facts",
            "scripts/host/binding",
            "scripts/pktgen/run",
            "scripts/packages",
        ])
        .current_dir(repository)
        .output()
        .expect("apt-get install shellcheck");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
