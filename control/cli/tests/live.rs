//! Real hosts through the real processes: the kernel's TCP, UDP, ICMP, ARP and neighbour discovery, IPv4 and IPv6, between network
//! namespaces whose link is cut by an appliance on `net_af_packet` ports.
//!
//! Needs root; skipped, with a printed line, without.

mod appliance;
mod hosts;

use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use appliance::{PATIENCE, Site, wait_until};
use hosts::{Host, Network, OTHER_PORT, Outcome, TCP_PORT, Talk, Transfer, UDP_PORT};
use loadlock_api::{DropCount, Listing, PortStatus, Rule, Side, Status};

const SEGMENT: &str = "hosts";
/// Longer than learning and switching takes on a busy machine with two cores.
const TRANSFER: Duration = Duration::from_secs(25);

/// Not a test: what this binary does when a host runs it as its server or client.
#[test]
fn role() {
    hosts::play_role();
}

#[test]
fn learned_conversations_go_on_after_enforce_and_nothing_else_does() {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        println!("skipped: network namespaces need root");
        return;
    }
    let Some(site) = Site::open() else { return };
    let mut network = Network::new();
    // In the grace time after a start a UDP frame from a server's port counts as the answer of a conversation that already runs.
    let base = site.base("", "").replace("[flows]\n", "[flows]\nmidstream_grace_s = 0\n");
    site.configure(&format!("{base}{}", segment(&network)));
    let mut run = site.run();
    site.wait_until_running();
    // Every frame of these hosts passes a running appliance, so that its counters must agree with the kernel's.
    let a1 = network.join(Side::A, 1);
    let b1 = network.join(Side::B, 1);
    let serving = b1.serve();

    let transfer = Transfer::start(&a1, &b1, TRANSFER);
    expect(&a1, &services(&b1), &Outcome::Answered);
    wait_until("a rule for every service", PATIENCE, || missing_rules(&site, &a1, &b1).is_empty());
    // The kernels report their multicast groups up to a second late; that too is learned.
    settled("rules", Duration::from_millis(1_500), || rules(&site));

    let changed = site.set_mode(SEGMENT, "enforce");
    assert!(changed["generation"].as_u64().unwrap() > 0, "{changed}");
    let left = transfer.left();
    assert!(left > Duration::from_secs(5), "the transfer ends too soon to tell: in {left:?}");
    let enforced = rules(&site);

    expect(&a1, &services(&b1), &Outcome::Answered);
    denies_strangers(&site, &mut network, [&a1, &b1]);

    let (arrived, seconds) = transfer.end();
    println!(
        "iperf3: {arrived} bytes arrived, with {:.1} s left at the switch",
        left.as_secs_f64()
    );
    assert!(seconds.len() as u64 >= TRANSFER.as_secs(), "{seconds:?}");
    assert!(seconds.iter().all(|bytes| *bytes > 0), "the transfer stood still: {seconds:?}");
    assert!(arrived > seconds.iter().sum::<u64>() / 10 * 9, "{arrived} bytes of {seconds:?}");

    finds_neighbours_again(&a1, &b1);
    drop(serving);
    abuses_no_reverse_rule(&site, &a1, &b1);

    assert_eq!(rules(&site), enforced, "nothing is learned in enforce mode");
    reconcile(&site, &network);
    assert!(run.stop().success(), "{}", run.log());
}

/// One segment between the network's ports.
fn segment(network: &Network) -> String {
    let port = |side: Side| {
        format!(
            "[[port]]\nname = \"{}\"\ndevice = \"net_af_packet\"\noptions = {{ iface = \"{}\" }}\n",
            side.name(),
            network.port(side)
        )
    };
    format!(
        "{}{}[[segment]]\nname = \"{SEGMENT}\"\nside_a = \"a\"\nside_b = \"b\"\nmode = \"learn\"\n",
        port(Side::A),
        port(Side::B)
    )
}

/// What becomes known on a server.
fn services(server: &Host) -> Vec<Talk> {
    let [ipv4, ipv6] = [IpAddr::V4(server.ipv4), IpAddr::V6(server.ipv6)];
    vec![
        Talk::Tcp((ipv4, TCP_PORT).into()),
        Talk::Tcp((ipv6, TCP_PORT).into()),
        Talk::Udp((ipv4, UDP_PORT).into()),
        Talk::Ping(ipv4),
        Talk::Ping(ipv6),
    ]
}

/// Tries everything at the same time; each must end so.
fn expect(client: &Host, talks: &[Talk], wanted: &Outcome) {
    let tries: Vec<_> = talks.iter().map(|talk| client.start(*talk)).collect();
    let ends: Vec<_> = tries.into_iter().map(hosts::Try::end).collect();
    assert!(ends.iter().all(|(_, outcome)| outcome == wanted), "not all {wanted:?}: {ends:#?}");
}

/// Tries everything at the same time; nothing is answered, and the port drops at least one frame for each, for this reason.
fn denied(site: &Site, client: &Host, talks: &[Talk], [port, reason]: [&str; 2]) {
    let before = dropped(site, port, reason);
    expect(client, talks, &Outcome::Silent);
    let more = dropped(site, port, reason) - before;
    assert!(more >= talks.len() as u64, "{more} dropped as {reason}: {:#?}", drops(site));
}

/// Other ports of the known server, the other way round, and two hosts that come when it is too late.
fn denies_strangers(site: &Site, network: &mut Network, [a1, b1]: [&Host; 2]) {
    let tcp = |host: &Host, port| Talk::Tcp(SocketAddr::from((host.ipv4, port)));
    let other_port_ipv6 = Talk::Tcp((b1.ipv6, OTHER_PORT).into());
    denied(site, a1, &[tcp(b1, OTHER_PORT), other_port_ipv6], ["a", "no_rule"]);
    let serving = a1.serve();
    denied(site, b1, &[tcp(a1, TCP_PORT)], ["b", "no_rule"]);
    denied(site, b1, &[Talk::Ping(a1.ipv4.into())], ["b", "no_rule"]);

    let a2 = network.join(Side::A, 2);
    let b2 = network.join(Side::B, 2);
    let _serving = (serving, b2.serve());
    denied(site, &a2, &services(b1), ["a", "no_rule"]);
    denied(site, a1, &services(&b2), ["a", "no_rule"]);
    // Within a side there is no appliance in between; the servers that were silent above do answer.
    expect(&a2, &[tcp(a1, TCP_PORT)], &Outcome::Answered);
    expect(b1, &services(&b2), &Outcome::Answered);
    expect(&b2, &[tcp(b1, OTHER_PORT)], &Outcome::Answered);
}

/// A server that uses its known port as the source of a conversation of its own.
fn abuses_no_reverse_rule(site: &Site, client: &Host, server: &Host) {
    let to = SocketAddr::from((client.ipv4, OTHER_PORT));
    for (port, talk) in [(TCP_PORT, Talk::Tcp(to)), (UDP_PORT, Talk::Udp(to))] {
        server.send_from(port);
        denied(site, server, &[talk], ["b", "wrong_direction"]);
    }
}

/// ARP and neighbour discovery pass without a rule.
fn finds_neighbours_again(client: &Host, server: &Host) {
    client.forget_neighbours();
    server.forget_neighbours();
    expect(client, &services(server), &Outcome::Answered);
    let neighbours = client.neighbours();
    for address in [server.ipv4.to_string(), server.ipv6.to_string()] {
        assert!(neighbours.contains(&format!("{address} ")), "{address} isn't among {neighbours}");
    }
}

/// Services of the server that no rule permits the client yet.
fn missing_rules(site: &Site, client: &Host, server: &Host) -> Vec<String> {
    let known = rules(site);
    let services =
        ["tcp/5201", &format!("tcp/{TCP_PORT}"), &format!("udp/{UDP_PORT}"), "icmp/echo"]
            .map(|service| (client.ipv4.to_string(), server.ipv4.to_string(), service.to_owned()));
    let services6 = [&format!("tcp/{TCP_PORT}"), "icmpv6/echo"]
        .map(|service| (client.ipv6.to_string(), server.ipv6.to_string(), service.to_owned()));
    let mut missing = Vec::new();
    for (client, server, service) in services.into_iter().chain(services6) {
        let is_known = known.iter().any(|rule| {
            (&rule.client, &rule.server, &rule.service) == (&client, &server, &service)
                && rule.client_side == Some(Side::A)
        });
        if !is_known {
            missing.push(format!("{client} → {server} {service}"));
        }
    }
    missing
}

fn rules(site: &Site) -> Vec<Rule> {
    let answer = site.ask(&["rules", "list"]).expect("control answers");
    let listing: Listing<Rule> = serde_json::from_value(answer).unwrap();
    assert_eq!(listing.total, listing.items.len() as u64);
    listing.items
}

fn drops(site: &Site) -> Vec<DropCount> {
    serde_json::from_value(site.ask(&["drops"]).expect("control answers")).unwrap()
}

fn dropped(site: &Site, port: &str, reason: &str) -> u64 {
    let drops = drops(site).into_iter().filter(|drop| drop.port == port && drop.reason == reason);
    drops.map(|drop| drop.dropped_packets).sum()
}

fn ports(site: &Site) -> [PortStatus; 2] {
    let status: Status = serde_json::from_value(site.status()).unwrap();
    let [segment] = <[_; 1]>::try_from(status.segments).unwrap();
    [segment.side_a, segment.side_b]
}

/// Asks until the answer has stayed the same for so long.
fn settled<T: PartialEq>(what: &str, quiet: Duration, mut ask: impl FnMut() -> T) -> T {
    let mut seen = (ask(), Instant::now());
    wait_until(&format!("{what} that stay the same for {quiet:?}"), PATIENCE, || {
        let now = ask();
        if now != seen.0 {
            seen = (now, Instant::now());
        }
        seen.1.elapsed() > quiet
    });
    seen.0
}

/// Once it is quiet: every frame of the kernel's count was received, and forwarded or dropped for a reason that is counted; every
/// forwarded one is in the kernel's count of the other side.
fn reconcile(site: &Site, network: &Network) {
    // All counts of one moment: none changed from the first time it was read to the last.
    let (ports, drops, kernel) = settled("counters", Duration::from_millis(500), || {
        let counters = ["rx_packets", "rx_bytes", "tx_packets", "tx_bytes"];
        let kernel = [Side::A, Side::B]
            .map(|side| counters.map(|counter| network.kernel_count(side, counter)));
        (ports(site), drops(site), kernel)
    });
    println!("{ports:#?}\n{drops:#?}\n{kernel:?}");
    for (index, port) in ports.iter().enumerate() {
        assert_eq!(port.received_packets, port.forwarded_packets + port.dropped_packets);
        let here = drops.iter().filter(|drop| drop.port == port.port);
        let is_wanted = |drop: &DropCount| ["no_rule", "wrong_direction"].contains(&&*drop.reason);
        assert!(here.clone().all(|drop| is_wanted(drop) || drop.dropped_packets == 0));
        let reasons: u64 = here.map(|drop| drop.dropped_packets).sum();
        assert_eq!(port.dropped_packets, reasons);
        let lost = [port.missed_packets, port.receive_error_packets, port.no_buffer_packets];
        assert_eq!((lost, port.transmit_error_packets), ([0; 3], 0));
        let ([rx_packets, rx_bytes, ..], [.., tx_packets, tx_bytes]) =
            (kernel[index], kernel[1 - index]);
        assert_eq!([port.received_packets, port.received_bytes], [rx_packets, rx_bytes]);
        assert_eq!([port.forwarded_packets, port.forwarded_bytes], [tx_packets, tx_bytes]);
    }
}
