//! The work of the site: one lane for each habit between two devices.

use std::collections::VecDeque;

use super::flows::{Flow, FlowOutcome, Lane, Transport};
use super::{Site, Talk};
use crate::conversation::Side;
use crate::random::SplitMix64;

/// Between a conversation and the data connections that it negotiates.
const DATA_DELAY_NS: u64 = 50_000_000;
/// Data connections of one conversation.
const DATA_CONNECTIONS: u64 = 2;

/// All lanes of all talks.
pub(super) fn lanes(site: &Site, seed: u64) -> Vec<Box<dyn Lane + '_>> {
    let mut lanes: Vec<Box<dyn Lane + '_>> = Vec::new();
    for (number, talk) in site.talks.iter().enumerate() {
        for from in &talk.from {
            for to in &talk.to {
                let path = [number as u64, *from as u64, *to as u64];
                let mut random = SplitMix64::for_part(seed, &path);
                // Whether a device has the habit is its own, whatever the other end.
                let tool = if site.devices[*from].bay.is_some() { *from } else { *to };
                let mut habit = SplitMix64::for_part(seed, &[0x5a, number as u64, tool as u64]);
                let has_it = habit.below(1_000_000) < (talk.share * 1e6) as u64;
                let Some(segment) = site.devices[*from].bay.or(site.devices[*to].bay) else {
                    continue;
                };
                let reached = |change: Option<usize>, otherwise| {
                    change.map_or(otherwise, |change| site.reached_ns(change, tool, seed))
                };
                let from_ns = reached(talk.after, site.start_ns).max(site.start_ns);
                let until_ns = reached(talk.until, u64::MAX).min(site.end_ns());
                if !has_it || from == to || from_ns >= until_ns {
                    continue;
                }
                let next_ns = talk.schedule.first(from_ns, &mut random);
                lanes.push(Box::new(Habit {
                    site,
                    talk,
                    ends: [*from, *to],
                    segment,
                    random,
                    next_ns,
                    until_ns,
                }));
            }
        }
    }
    lanes
}

struct Habit<'s> {
    site: &'s Site,
    talk: &'s Talk,
    ends: [usize; 2],
    segment: u8,
    random: SplitMix64,
    next_ns: u64,
    until_ns: u64,
}

impl Lane for Habit<'_> {
    fn next(&mut self, out: &mut VecDeque<Flow>) {
        let time_ns = self.next_ns;
        if time_ns >= self.until_ns {
            return;
        }
        let talk = self.talk;
        let spread = 1 + self.random.below(talk.duration_ns.max(1));
        let flow = between(self.site, self.ends, self.segment, time_ns, &mut self.random);
        let scale = 500 + self.random.below(1_000);
        let bytes = [talk.bytes.0 * scale / 1_000, talk.bytes.1 * scale / 1_000];
        out.push_back(Flow {
            end_ns: time_ns + talk.duration_ns / 2 + spread,
            transport: talk.transport,
            port: talk.port,
            outcome: if talk.one_way { FlowOutcome::OneWay } else { FlowOutcome::Answered },
            packets: packets(talk.transport, bytes, talk.one_way),
            bytes: if talk.one_way { [bytes[0], 0] } else { bytes },
            class: talk.class,
            ..flow
        });
        let mut last_ns = time_ns;
        if let Some((first, last)) = talk.data_ports {
            for _ in 0..DATA_CONNECTIONS {
                last_ns += DATA_DELAY_NS;
                let ends = if talk.data_active { [self.ends[1], self.ends[0]] } else { self.ends };
                let port = first + self.random.below(u64::from(last - first) + 1) as u16;
                let flow = between(self.site, ends, self.segment, last_ns, &mut self.random);
                let bytes = [bytes[0] * 4, bytes[1] * 4];
                out.push_back(Flow {
                    end_ns: last_ns + 1_000_000_000,
                    port,
                    packets: packets(Transport::Tcp, bytes, false),
                    bytes,
                    class: talk.class,
                    ..flow
                });
            }
        }
        self.next_ns = talk.schedule.next(time_ns, &mut self.random).max(last_ns + 1_000);
    }
}

/// How many packets carry so many bytes.
fn packets(transport: Transport, bytes: [u64; 2], one_way: bool) -> [u32; 2] {
    let carried = bytes.map(|bytes| (bytes / 1_400 + 1).min(1 << 20) as u32);
    match transport {
        Transport::Tcp => [carried[0] + carried[1] / 2 + 3, carried[1] + carried[0] / 2 + 3],
        _ if one_way => [carried[0], 0],
        _ => carried,
    }
}

/// An answered TCP flow without content between two devices.
pub(super) fn between(
    site: &Site,
    [from, to]: [usize; 2],
    segment: u8,
    time_ns: u64,
    random: &mut SplitMix64,
) -> Flow {
    let client = &site.devices[from];
    let (first, last) = client.client_ports;
    // In a segment, its own bay's tools are on side A, and all others behind the gateway.
    let is_own = |device: usize| site.devices[device].bay == Some(segment);
    let mac = |device: usize| {
        if is_own(device) { site.mac_at(device, time_ns) } else { site.gateway_mac }
    };
    Flow {
        time_ns,
        end_ns: time_ns + 1_000_000,
        segment,
        client_side: if is_own(from) { Side::A } else { Side::B },
        client: site.address_at(from, time_ns),
        client_port: first + random.below(u64::from(last - first) + 1) as u16,
        client_mac: mac(from),
        server: site.address_at(to, time_ns),
        server_mac: mac(to),
        transport: Transport::Tcp,
        port: 0,
        outcome: FlowOutcome::Answered,
        packets: [4, 4],
        bytes: [400, 400],
        class: 0,
        is_attack: false,
    }
}
