//! What goes wrong is said before DPDK is touched, or with names and limits after.

mod fixture;

use loadlock_dpdk::{
    Absence, CoreUse, Eal, EalConfig, EalError, Memory, Mempool, MempoolError, Port, PortConfig,
    PortError, PortId, Rss,
};

#[test]
fn errors_name_the_place_the_value_and_the_limit() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = |name: &str| directory.path().join(name).display().to_string();
    fixture::write_pcap(&directory.path().join("in.pcap"), &[(1, fixture::frame(1, 60))]);
    let (input, output) = (path("in.pcap"), path("out.pcap"));
    let config = fixture::config(vec![
        format!("net_pcap0,rx_pcap={input},rx_pcap={input},tx_pcap={output},tx_pcap={output}2"),
        "net_null0,size=64".to_owned(),
    ]);
    before_the_start(&config);

    let eal = Eal::init(&config).expect("none of the failures before used the one start up");
    let again = Eal::init(&config).expect_err("once a process");
    assert!(matches!(again, EalError::AlreadyStarted), "{again}");

    let missing = eal.find_port("net_pcap9").expect_err("no such port");
    assert_eq!((&missing.absence, missing.ports.len()), (&Absence::UnknownName, 2));
    assert!(missing.to_string().contains("net_pcap0, net_null0"), "{missing}");
    let missing = eal.find_port("0000:fe:1f.7").expect_err("no such device");
    assert_eq!(missing.absence, Absence::NoPciDevice { address: "0000:fe:1f.7".to_owned() });
    ports(&eal);
}

fn before_the_start(config: &EalConfig) {
    let (main, worker) = (config.main_core, config.worker_cores[0]);
    let twice = EalConfig { worker_cores: vec![worker, main], ..config.clone() };
    let error = Eal::init(&twice).expect_err("a core used twice");
    assert!(
        matches!(
            error,
            EalError::CoreUsedTwice { core, first: CoreUse::Main, second: CoreUse::Worker(1) } if core == main
        ),
        "{error}"
    );
    let absent = EalConfig { worker_cores: vec![1000], ..config.clone() };
    let error = Eal::init(&absent).expect_err("no such core");
    assert!(
        matches!(error, EalError::CoreMissing { core: 1000, used_for: CoreUse::Worker(0), .. }),
        "{error}"
    );
    assert!(error.to_string().starts_with("core 1000 (worker 0)"), "{error}");
    let huge = EalConfig {
        memory: Memory::Hugepages { dir: None, mib: Some(u32::MAX), page_bytes: None },
        ..config.clone()
    };
    let error = Eal::init(&huge).expect_err("no machine has that");
    assert!(error.to_string().contains("/proc/sys/vm/nr_hugepages"), "{error}");
}

fn ports(eal: &Eal) {
    let pool = pools(eal);
    let pcap = eal.find_port("net_pcap0").expect("port");
    assert_eq!(eal.port_name(pcap), "net_pcap0");
    refused_configurations(eal, pcap, &pool);
    life_of_a_port(eal, pcap, &pool);
}

fn pools(eal: &Eal) -> Mempool {
    let pool = Mempool::new(eal, "frames", 2047, 0, 2048, None).expect("pool");
    let exists = Mempool::new(eal, "frames", 2047, 0, 2048, None).expect_err("the name is taken");
    assert!(
        matches!(exists, MempoolError::Create { cause, .. } if cause.code() == libc::EEXIST),
        "{exists}"
    );
    let large =
        Mempool::new(eal, "large", 1_000_000, 0, 2048, None).expect_err("256 MiB don't hold it");
    assert!(large.to_string().contains("MiB"), "{large}");

    pool
}

fn refused_configurations(eal: &Eal, pcap: PortId, pool: &Mempool) {
    let configure = |config: &PortConfig| Port::configure(eal, pcap, config, pool);
    let error = configure(&fixture::port_config(3)).expect_err("two files, two queues");
    assert!(
        matches!(&error, PortError::TooFewQueues { wanted: 3, max: 2, driver, .. } if driver == "net_pcap")
    );
    assert!(
        error.to_string().contains("net_pcap0 (net_pcap): 3 queues wanted, allowed are 1 to 2"),
        "{error}"
    );
    let error = configure(&fixture::port_config(2)).expect_err("files have no hash");
    assert!(
        matches!(error, PortError::NoSymmetricRss { queues: 2, types_offered: 0, .. }),
        "{error}"
    );
    let error =
        configure(&PortConfig { mtu: 9000, ..fixture::port_config(1) }).expect_err("no scatter");
    assert!(
        matches!(error, PortError::FrameTooLong { mtu: 9000, data_room_bytes: 2048, .. }),
        "{error}"
    );
}

fn life_of_a_port(eal: &Eal, pcap: PortId, pool: &Mempool) {
    let configure = |config: &PortConfig| Port::configure(eal, pcap, config, pool);
    let spread_by_file = PortConfig { require_symmetric_rss: false, ..fixture::port_config(2) };
    let mut port = configure(&spread_by_file).expect("configured after its failures");
    assert_eq!(port.grant().rss, Rss::DriverDefault);
    let error = configure(&spread_by_file).expect_err("configured");
    assert!(matches!(error, PortError::AlreadyConfigured { .. }), "{error}");
    assert!(matches!(port.stop(), Err(PortError::NotRunning { .. })));
    let queues = port.start().expect("runs");
    let numbers: Vec<(u16, u16)> =
        queues.iter().map(|(rx, tx)| (rx.queue().0, tx.queue().0)).collect();
    assert_eq!(numbers, [(0, 0), (1, 1)]);
    assert!(matches!(port.start(), Err(PortError::AlreadyRunning { .. })));
    assert!(matches!(port.stop(), Err(PortError::QueuesInUse { handles: 4, .. })));
}
