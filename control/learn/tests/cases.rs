//! One case for each kind of conversation.

mod support;

use loadlock_exchange::{DropReason, Event, EventFlags, EventKind, RuleId};
use loadlock_learn::{AdmissionSettings, Answers, LearnLimits, Learner};
use loadlock_packet::{KeyTail, Kind, MacAddress, Network, SegmentId, Side, VlanStack};
use support::{Talk, learner, rules, talk};

use Kind::{Icmp, Tcp, Udp};

fn check(talks: &[Talk], expected: &[(&str, &str)]) {
    let found = rules(&learner(talks));
    let found: Vec<_> =
        found.iter().map(|(words, basis)| (words.as_str(), basis.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn tcp_has_its_direction_from_the_handshake_and_no_client_port() {
    let talks = [1025, 1026, 40000]
        .map(|port| talk(Tcp, &format!("10.0.1.11:{port}"), "10.0.2.1:5000").accepted());
    check(&talks, &[("10.0.1.11 (side A) → 10.0.2.1 tcp/5000", "the TCP handshake")]);
    let from_b = talk(Tcp, "10.0.1.11:80", "10.0.2.1:1025").begun_by_b();
    check(&[from_b], &[("10.0.2.1 (side B) → 10.0.1.11 tcp/80", "the SYN")]);
}

#[test]
fn tcp_met_running_takes_its_server_from_a_handshake_with_the_same_port() {
    // The lower port would be wrong: old Windows uses 1025 to 5000 for clients.
    let running = talk(Tcp, "10.0.1.11:1025", "10.0.2.1:5000").late();
    let seen = talk(Tcp, "10.0.1.12:1030", "10.0.2.1:5000").accepted();
    check(
        &[running, seen],
        &[
            ("10.0.1.11 (side A) → 10.0.2.1 tcp/5000, also met running", "the TCP handshake"),
            ("10.0.1.12 (side A) → 10.0.2.1 tcp/5000", "the TCP handshake"),
        ],
    );
}

#[test]
fn tcp_met_running_takes_its_server_from_fan_in() {
    let running = ["10.0.1.11:1025", "10.0.1.12:1031", "10.0.1.12:1040"]
        .map(|client| talk(Tcp, client, "10.0.2.1:5000").running().begun_by_b());
    check(
        &running,
        &[
            ("10.0.1.11 (side A) → 10.0.2.1 tcp/5000", "fan-in"),
            ("10.0.1.12 (side A) → 10.0.2.1 tcp/5000", "fan-in"),
        ],
    );
}

#[test]
fn tcp_met_running_without_evidence_assumes_the_lower_port_and_says_so() {
    let lower = "assumed";
    check(
        &[talk(Tcp, "10.0.1.11:443", "10.0.2.1:50000").running()],
        &[("10.0.2.1 (side B) → 10.0.1.11 tcp/443", lower)],
    );
    check(
        &[talk(Tcp, "10.0.1.11:7000", "10.0.2.1:7000").late().begun_by_b()],
        &[("10.0.1.11 (side A) → 10.0.2.1 tcp/7000, also met running", lower)],
    );
}

#[test]
fn a_syn_ack_seen_first_tells_who_asked() {
    let talk = talk(Tcp, "10.0.1.11:400", "10.0.2.1:5000").late().accepted();
    let words = "10.0.1.11 (side A) → 10.0.2.1 tcp/5000, also met running";
    check(&[talk], &[(words, "the TCP handshake")]);
}

#[test]
fn udp_has_its_direction_from_who_spoke_first() {
    let question = talk(Udp, "10.0.1.11:50000", "10.0.2.1:53");
    check(&[question], &[("10.0.1.11 (side A) → 10.0.2.1 udp/53", "the first packet")]);
    let trap = talk(Udp, "10.0.1.11:50000", "10.0.2.1:162").unanswered();
    check(&[trap], &[("10.0.1.11 (side A) → 10.0.2.1 udp/162", "the first packet")]);
}

#[test]
fn a_late_udp_answer_turns_into_a_right_of_the_server_to_open_and_not_into_a_client_port() {
    let asked =
        ["10.0.1.11:50000", "10.0.1.11:50001"].map(|client| talk(Udp, client, "10.0.2.1:53"));
    let late = talk(Udp, "10.0.1.11:50002", "10.0.2.1:53").begun_by_b().unanswered();
    check(
        &[asked[0], asked[1], late],
        &[("10.0.1.11 (side A) → 10.0.2.1 udp/53, opened by either", "fan-in")],
    );
}

#[test]
fn a_udp_server_that_always_speaks_first_is_the_server_still() {
    let pushes = ["10.0.1.11:50000", "10.0.1.11:50001", "10.0.1.12:40000"]
        .map(|client| talk(Udp, client, "10.0.2.1:5005").begun_by_b().unanswered());
    check(
        &pushes,
        &[
            ("10.0.1.11 (side A) → 10.0.2.1 udp/5005, opened by the server", "fan-in"),
            ("10.0.1.12 (side A) → 10.0.2.1 udp/5005, opened by the server", "fan-in"),
        ],
    );
}

#[test]
fn a_client_port_used_again_for_another_server_is_no_service() {
    let talks = [
        talk(Udp, "10.0.1.11:50000", "10.0.2.1:53"),
        talk(Udp, "10.0.1.11:50001", "10.0.2.1:53"),
        talk(Udp, "10.0.1.11:50002", "10.0.2.1:53"),
        talk(Udp, "10.0.1.11:50000", "10.0.2.2:123"),
        talk(Udp, "10.0.1.11:50003", "10.0.2.2:123"),
        talk(Udp, "10.0.1.11:50004", "10.0.2.2:123"),
        talk(Udp, "10.0.1.11:50000", "10.0.2.3:9999"),
    ];
    check(
        &talks,
        &[
            ("10.0.1.11 (side A) → 10.0.2.1 udp/53", "fan-in"),
            ("10.0.1.11 (side A) → 10.0.2.2 udp/123", "fan-in"),
            ("10.0.1.11 (side A) → 10.0.2.3 udp/9999", "the first packet"),
        ],
    );
}

#[test]
fn udp_between_equal_ports_has_one_rule_whoever_spoke_first() {
    for port in [123, 500, 47808] {
        let (a, b) = (format!("10.0.1.11:{port}"), format!("10.0.2.1:{port}"));
        let words = format!("10.0.1.11 (side A) → 10.0.2.1 udp/{port}");
        check(&[talk(Udp, &a, &b)], &[(&words, "the first packet")]);
        let both = format!("{words}, opened by either");
        let (ahead, back) = (talk(Udp, &a, &b), talk(Udp, &a, &b).begun_by_b());
        check(&[ahead, back], &[(&both, "assumed")]);
        check(&[back, ahead], &[(&both, "assumed")]);
    }
}

#[test]
fn an_ntp_server_with_many_symmetric_clients_stays_the_server() {
    let clients = ["10.0.1.1:123", "10.0.1.2:123", "10.0.1.3:123"];
    let found = rules(&learner(&clients.map(|client| talk(Udp, client, "10.0.2.1:123"))));
    assert!(found.iter().all(|(words, _)| words.ends_with("→ 10.0.2.1 udp/123")), "{found:?}");
    assert_eq!(found.len(), 3);
}

#[test]
fn a_group_is_always_the_server_and_an_answer_to_it_comes_from_the_service_port() {
    let search = talk(Udp, "10.0.1.11:50000", "239.255.255.250:1900").unanswered();
    let answer = talk(Udp, "10.0.1.11:50000", "10.0.2.1:1900").begun_by_b().unanswered();
    check(
        &[answer, search],
        &[
            (
                "10.0.1.11 (side A) → 10.0.2.1 udp/1900, opened by the server",
                "the request that it answers",
            ),
            ("10.0.1.11 (side A) → 239.255.255.250 udp/1900", "the first packet"),
        ],
    );
}

#[test]
fn an_answer_that_goes_to_all_takes_no_client_port_either() {
    // MELSOFT: a controller answers a search by broadcast, to the port from which it was asked.
    let talks: Vec<_> = (50000..50020)
        .flat_map(|port| {
            let search = talk(Udp, &format!("10.0.1.11:{port}"), "255.255.255.255:5560");
            let answer =
                talk(Udp, &format!("255.255.255.255:{port}"), "10.0.2.1:5560").begun_by_b();
            [search.unanswered(), answer.unanswered()]
        })
        .collect();
    let answer = "the request that it answers";
    check(
        &talks,
        &[
            ("10.0.1.11 (side A) → 255.255.255.255 udp/5560", "the first packet"),
            ("255.255.255.255 (side A) → 10.0.2.1 udp/5560, opened by the server", answer),
        ],
    );
}

#[test]
fn the_broadcast_address_of_a_subnet_is_known_by_its_station() {
    let broadcast = MacAddress([0xff; 6]);
    let mut question = talk(Udp, "10.0.1.11:50000", "10.0.1.255:44818").unanswered();
    question.macs[1] = broadcast;
    let answers = ["10.0.2.1:44818", "10.0.2.2:44818"]
        .map(|device| talk(Udp, "10.0.1.11:50000", device).begun_by_b().unanswered());
    let answer = "the request that it answers";
    check(
        &[question, answers[0], answers[1]],
        &[
            ("10.0.1.11 (side A) → 10.0.1.255 udp/44818", "the first packet"),
            ("10.0.1.11 (side A) → 10.0.2.1 udp/44818, opened by the server", answer),
            ("10.0.1.11 (side A) → 10.0.2.2 udp/44818, opened by the server", answer),
        ],
    );
}

#[test]
fn a_scan_from_one_port_is_no_service() {
    let scan: Vec<_> = (1..200)
        .map(|port| talk(Udp, "10.0.1.66:40000", &format!("10.0.2.1:{port}")).unanswered())
        .collect();
    let found = rules(&learner(&scan));
    assert_eq!(found.len(), scan.len());
    assert!(found.iter().all(|(words, _)| words.starts_with("10.0.1.66 (side A) → 10.0.2.1")));
}

#[test]
fn icmp_is_named_by_its_query_even_if_the_answer_came_first() {
    // The client's field is the identifier, the server's type and code of the query.
    let echo = talk(Icmp, "10.0.1.11:777", "10.0.2.1:2048");
    check(&[echo], &[("10.0.1.11 (side A) → 10.0.2.1 icmp/echo", "the first packet")]);
    let words = "10.0.1.11 (side A) → 10.0.2.1 icmp/echo, also met running";
    check(&[echo.late()], &[(words, "the request that it answers")]);
    let echo6 = talk(Icmp, "[fd00::1]:777", "[fd00::2]:32768");
    check(&[echo6], &[("fd00::1 (side A) → fd00::2 icmpv6/echo", "the first packet")]);
}

/// A conversation between two stations.
fn link_talk(kind: Kind, macs: [MacAddress; 2], service: u16, oui: [u8; 3]) -> Talk {
    let segment = SegmentId::new(0).expect("below 16");
    let tail = KeyTail::new(segment, VlanStack::UNTAGGED, kind);
    let key = support::pack(tail, macs.map(|mac| Network::Link { mac, oui }), [service; 2]);
    let any = talk(Kind::OtherIp, "10.0.0.1:47", "10.0.0.2:47");
    Talk { key, packets: [1, 0], macs, ..any }
}

#[test]
fn other_protocols_fragments_and_the_link_layer_have_the_sender_as_client() {
    let stations = [MacAddress([2, 0, 0, 0, 0, 1]), MacAddress([1, 0x80, 0xc2, 0, 0, 0xe])];
    let talks = [
        talk(Kind::OtherIp, "10.0.1.11:47", "10.0.2.1:47"),
        talk(Kind::Fragment, "10.0.1.11:17", "10.0.2.1:17").begun_by_b(),
        link_talk(Kind::NonIp, stations, 0x88cc, [0; 3]),
        link_talk(Kind::Llc, stations, 0x4242, [0; 3]),
        link_talk(Kind::Snap, stations, 0x2000, [0, 0, 0xc]),
    ];
    let first = "the first packet";
    check(
        &talks,
        &[
            ("10.0.1.11 (side A) → 10.0.2.1 ip/47", first),
            ("10.0.2.1 (side B) → 10.0.1.11 fragment/17", first),
            ("02:00:00:00:00:01 (side A) → 01:80:c2:00:00:0e ether/0x88cc", first),
            ("02:00:00:00:00:01 (side A) → 01:80:c2:00:00:0e llc/0x4242", first),
            ("02:00:00:00:00:01 (side A) → 01:80:c2:00:00:0e snap/00000c:0x2000", first),
        ],
    );
}

#[test]
fn repeated_reports_make_sure_of_the_key_and_count_nothing() {
    let talk = talk(Tcp, "10.0.1.11:1025", "10.0.2.1:5000").accepted();
    let mut repeated = talk.event(EventKind::Started, 5);
    repeated.flags.repeated = true;
    let mut fresh = Learner::new(&["fab".to_owned()], LearnLimits::default());
    fresh.observe(&repeated);
    assert_eq!(rules(&fresh).len(), 1);
    fresh.observe(&talk.event(EventKind::Started, 1));
    fresh.observe(&repeated);
    let row = fresh.evidence().next().expect("one key");
    assert_eq!((row.evidence.conversations, row.evidence.first_seen_ns), (1, 1));
}

#[test]
fn only_what_a_learning_segment_forwards_or_a_rule_permits_becomes_a_key() {
    let base = talk(Udp, "10.0.1.11:50000", "10.0.2.1:53").event(EventKind::Started, 1);
    let flags = EventFlags { learning: false, ..base.flags };
    let denied = Event { kind: EventKind::Denied(DropReason::NoRule), flags, ..base };
    let would_deny = Event { flags, ..base };
    let rule = RuleId::new(3);
    let adopted = Event { flags: EventFlags { midstream: true, ..flags }, rule, ..base };
    let mut learner = Learner::new(&["fab".to_owned()], LearnLimits::default());
    for event in [denied, would_deny, adopted] {
        learner.observe(&event);
        assert_eq!(learner.counts(), (0, 0), "{event:?}");
    }
    assert_eq!(learner.revision(), 0);
    learner.observe(&Event { flags, rule, ..base });
    assert_eq!(rules(&learner).len(), 1);
}

#[test]
fn a_conversation_on_a_negotiated_port_becomes_no_rule() {
    let base =
        talk(Tcp, "10.0.1.11:50000", "10.0.2.1:49160").accepted().event(EventKind::Started, 1);
    let flags = EventFlags { learning: false, negotiated: true, ..base.flags };
    let mut learner = Learner::new(&["fab".to_owned()], LearnLimits::default());
    for rule in [None, RuleId::new(3)] {
        for kind in [EventKind::Started, EventKind::Counted, EventKind::Ended] {
            learner.observe(&Event { kind, flags, rule, ..base });
        }
    }
    assert_eq!((learner.counts(), learner.revision()), ((0, 0), 0));
}

#[test]
fn what_a_monitoring_segment_would_deny_gives_no_right_to_a_known_key() {
    let known = talk(Udp, "10.0.1.11:50000", "10.0.2.1:53");
    let mut learner = learner(&[known]);
    let before =
        learner.policy(&AdmissionSettings::record_all(), &Answers::default()).expect("valid");
    let revision = learner.revision();
    let mut reverse = known.begun_by_b();
    reverse.flags.learning = false;
    reverse.events(9_000_000_000).iter().for_each(|event| learner.observe(event));
    assert_eq!(
        learner.policy(&AdmissionSettings::record_all(), &Answers::default()).expect("valid"),
        before
    );
    assert_eq!(learner.revision(), revision);
}

#[test]
fn damaged_events_are_counted_and_make_no_rule() {
    let segment = SegmentId::new(5).expect("below 16");
    let untagged = VlanStack::UNTAGGED;
    let tail = |kind| KeyTail::new(segment, untagged, kind);
    let good = talk(Kind::OtherIp, "10.0.1.11:47", "10.0.2.1:47");
    let ends = [Side::A, Side::B].map(|side| good.key.endpoint(side).network);
    let mut learner = Learner::new(&["fab".to_owned()], LearnLimits::default());
    let elsewhere = Talk { key: support::pack(tail(Kind::Tcp), ends, [1, 2]), ..good };
    let tcp_as_other = talk(Kind::OtherIp, "10.0.1.11:6", "10.0.2.1:6");
    let unequal = talk(Kind::OtherIp, "10.0.1.11:47", "10.0.2.1:48");
    for (count, bad) in (1..).zip([elsewhere, tcp_as_other, unequal]) {
        learner.observe(&bad.event(EventKind::Started, 1));
        assert_eq!(learner.tally().events_refused, count);
    }
    assert_eq!(learner.counts(), (0, 0));
}

#[test]
fn a_storm_of_client_ports_takes_one_key_and_no_memory() {
    let mut learner = Learner::new(&["fab".to_owned()], LearnLimits::default());
    for port in 1024..=65535u32 {
        let talk = talk(Tcp, &format!("10.0.1.11:{port}"), "10.0.2.1:5000").accepted();
        talk.events(u64::from(port)).iter().for_each(|event| learner.observe(event));
    }
    assert_eq!(learner.counts(), (1, 0));
    assert_eq!(learner.revision(), 1);
}

#[test]
fn a_storm_of_udp_ports_is_settled_when_the_room_is_full_and_then_takes_none() {
    let limits = LearnLimits { keys_max: 10, conversations_max: 100, ..LearnLimits::default() };
    let mut learner = Learner::new(&["fab".to_owned()], limits);
    for port in 1024..=65535u32 {
        let talk = talk(Udp, &format!("10.0.1.11:{port}"), "10.0.2.1:53");
        talk.events(u64::from(port)).iter().for_each(|event| learner.observe(event));
    }
    let (settled, open) = learner.counts();
    assert_eq!((settled, open), (1, 0));
    assert_eq!(learner.tally().settlements, 1);
    assert_eq!(rules(&learner)[0].0, "10.0.1.11 (side A) → 10.0.2.1 udp/53");
    let row = learner.evidence().next().expect("one key");
    assert_eq!(row.evidence.conversations, 64_512);
    assert_eq!(row.evidence.packets, [3 * 64_512, 2 * 64_512]);
}

#[test]
fn keys_beyond_the_limit_are_refused_and_counted() {
    let limits = LearnLimits { keys_max: 10, conversations_max: 100, ..LearnLimits::default() };
    let mut learner = Learner::new(&["fab".to_owned()], limits);
    for port in 1..=25 {
        let talk = talk(Tcp, "10.0.1.11:40000", &format!("10.0.2.1:{port}"));
        talk.events(port).iter().for_each(|event| learner.observe(event));
    }
    assert_eq!((learner.counts(), learner.tally().keys_refused), ((10, 0), 15));
    // A UDP scan fills the room for open conversations, and then the keys.
    for port in 1..=300 {
        let talk = talk(Udp, "10.0.1.11:40000", &format!("10.0.2.1:{port}")).unanswered();
        learner.observe(&talk.event(EventKind::Started, port));
    }
    let (settled, open) = learner.counts();
    assert!(settled == 10 && open <= 100);
    assert!(learner.tally().keys_refused > 150);
    assert_eq!(rules(&learner).len(), settled + open);
}

#[test]
fn changes_are_given_once_and_again_if_they_could_not_be_stored() {
    let mut learner = learner(&[
        talk(Tcp, "10.0.1.11:1025", "10.0.2.1:5000"),
        talk(Udp, "10.0.1.11:50000", "10.0.2.1:53"),
    ]);
    let changes = learner.take_changes();
    assert_eq!((changes.written.len(), changes.removed.len()), (2, 0));
    assert_eq!(learner.take_changes(), loadlock_learn::EvidenceChanges::default());
    learner.keep_unsaved(&changes);
    let again = learner.take_changes();
    let all: Vec<_> = learner.evidence().collect();
    let mut written = again.written.clone();
    written.sort_by(|a, b| a.subject.cmp(&b.subject));
    assert_eq!(written, all);
}
