//! Frames from one capture to another by way of `net_pcap`: byte for byte, with their times, and no mbuf lost.

mod fixture;

use fixture::Captured;
use loadlock_dpdk::{Burst, Eal, Mbuf, Mempool, Port, Rss, RxQueue, TimestampField, TxQueue};

/// Shortest, ordinary, full, double-tagged full, and longer than an mbuf, which makes a chain of two.
const LENGTHS: [usize; 5] = [60, 590, 1514, 1522, 4000];
const FRAMES: usize = 200;
const DATA_ROOM_BYTES: u16 = 2048;

fn captured() -> Vec<Captured> {
    (0..FRAMES)
        .map(|number| {
            let time_us = 1_700_000_000_123_456 + number as u64 * 1_000_003;
            (time_us, fixture::frame(number, LENGTHS[number % LENGTHS.len()]))
        })
        .collect()
}

#[test]
fn frames_cross_unchanged_and_every_mbuf_comes_back() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = |name: &str| directory.path().join(name);
    let sent = captured();
    fixture::write_pcap(&path("in.pcap"), &sent);
    fixture::write_pcap(&path("empty.pcap"), &[]);
    let device = |name: &str, rx: &str, tx: &str| {
        let (rx, tx) = (path(rx), path(tx));
        format!("{name},rx_pcap={},tx_pcap={}", rx.display(), tx.display())
    };
    let eal = Eal::init(&fixture::config(vec![
        device("net_pcap0", "in.pcap", "back.pcap"),
        device("net_pcap1", "empty.pcap", "out.pcap"),
    ]))
    .expect("EAL");
    let version = loadlock_dpdk::version();
    assert!(version.contains("DPDK"), "{version}");

    let pool = Mempool::new(&eal, "frames", 2047, 32, DATA_ROOM_BYTES, None).expect("pool");
    let open = |name: &str| {
        let id = eal.find_port(name).expect("port");
        Port::configure(&eal, id, &fixture::port_config(1), &pool).expect("configured")
    };
    let (mut left, mut right) = (open("net_pcap0"), open("net_pcap1"));
    assert_eq!(eal.ports(), [left.id(), right.id()]);
    assert_eq!((left.info().driver.as_str(), left.info().bus.as_str()), ("net_pcap", "vdev"));
    assert!(left.info().devargs.contains("in.pcap"), "{:?}", left.info());
    assert_eq!((left.grant().rss, left.grant().mtu), (Rss::OneQueue, 1500));

    let (mut rx, _) = left.start().expect("left runs").remove(0);
    let (_, mut tx) = right.start().expect("right runs").remove(0);
    assert!(left.link().expect("link").up);
    let available_before = pool.available();
    let times = TimestampField::lookup(&eal).expect("net_pcap registers its time stamps");

    forward_but_every_third(&mut rx, &mut tx, &sent, &times, &pool);
    assert_eq!(pool.available(), available_before, "an mbuf is lost");

    let refused = right.stop().expect_err("tx is in use");
    assert!(refused.to_string().contains("queue handles left: 1"), "{refused}");
    drop((rx, tx));
    let forwarded: Vec<Vec<u8>> = sent
        .iter()
        .enumerate()
        .filter(|(index, _)| !index.is_multiple_of(3))
        .map(|(_, (_, bytes))| bytes.clone())
        .collect();
    let (left_stats, right_stats) = (left.stats().expect("stats"), right.stats().expect("stats"));
    assert_eq!(left_stats.ipackets, FRAMES as u64);
    assert_eq!(right_stats.opackets, forwarded.len() as u64);
    right.stop().expect("no handle left");
    drop((left, right));
    assert_eq!(fixture::read_pcap(&path("out.pcap")), forwarded);
    assert_eq!(pool.available(), pool.mbufs());
    assert_eq!(pool.in_use(), 0);
}

/// Forwards the whole capture and denies every third frame, by its number there; compares each on the way.
fn forward_but_every_third(
    rx: &mut RxQueue,
    tx: &mut TxQueue,
    sent: &[Captured],
    times: &TimestampField,
    pool: &Mempool,
) {
    let mut received = Burst::with_capacity(32);
    let mut denied = Burst::with_capacity(32);
    let mut number = 0;
    let available_before = pool.available();
    while rx.receive(&mut received) > 0 {
        assert!(pool.available() < available_before);
        let first = number;
        for mbuf in received.iter() {
            assert_eq!(mbuf.port(), rx.port().number());
            compare(mbuf, &sent[number], times);
            number += 1;
        }
        received.divert(&mut denied, |index, _| !(first + index).is_multiple_of(3));
        let forwarded = received.len();
        assert_eq!(tx.send(&mut received), forwarded);
        assert!(received.is_empty());
        denied.free_all();
    }
    assert_eq!(number, sent.len());
}

fn compare(mbuf: &Mbuf, (time_us, bytes): &Captured, times: &TimestampField) {
    let room = usize::from(DATA_ROOM_BYTES);
    let mut copy = vec![0; 65_536];
    mbuf.prefetch();
    assert_eq!(mbuf.frame_bytes() as usize, bytes.len());
    assert_eq!(mbuf.timestamp(times), Some(*time_us));
    assert_eq!(usize::from(mbuf.segments()), bytes.len().div_ceil(room));
    assert_eq!(mbuf.head(), &bytes[..bytes.len().min(room)]);
    assert_eq!(mbuf.copy_into(&mut copy), bytes.len());
    assert_eq!(&copy[..bytes.len()], bytes);
}
