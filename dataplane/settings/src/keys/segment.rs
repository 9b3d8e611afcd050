//! The keys of `[[segment]]`.

use super::{SEGMENTS_MAX, WORKERS_MAX, integer, required, text};
use crate::schema::{Default, Key, Kind, PathRule, Repeated, Table};

pub(crate) static SEGMENT: Table = Table {
    name: "segment",
    repeated: Some(Repeated { minimum: 1, maximum: SEGMENTS_MAX, shown: 1 }),
    meaning: "One [[segment]] for each protected link: two ports between which frames pass, 1 to 16 of them.",
    keys: &[
        required(
            "name",
            Kind::Name { underscore: false },
            &["\"fab\""],
            "Name of the segment in rules, logs and the API. No two segments share one.",
        ),
        required(
            "side_a",
            Kind::PortReference,
            &["\"fab-a\""],
            "Name of the port on the one side, by habit that of the protected devices.",
        ),
        required(
            "side_b",
            Kind::PortReference,
            &["\"fab-b\""],
            "Name of the port on the other side.",
        ),
        Key {
            name: "worker_cores",
            kind: Kind::Cores { count_min: 0, count_max: WORKERS_MAX },
            default: Default::Texts(&[]),
            unit: "",
            meaning: "Those of dataplane.worker_cores that serve this segment, such as those on the NUMA node of its cards; [] is all. \
                      Each of its ports gets a queue for each, in the order of dataplane.worker_cores.",
            examples: &[],
        },
        text(
            "mode",
            Kind::Choice(&["learn", "monitor", "enforce"]),
            "learn",
            "What holds until a mode is set through the API or the command line. learn: forward all and learn. monitor: \
             forward all and report what would be denied. enforce: forward only what a rule allows.",
        ),
        Key {
            name: "infrastructure",
            kind: Kind::Choices(&["arp", "nd", "link-local"]),
            default: Default::Texts(&["arp", "nd", "link-local"]),
            unit: "",
            meaning: "Frame classes that pass in every mode without a rule. arp: ARP. nd: IPv6 neighbour and router \
                      discovery (hop limit 255). link-local: destinations 01:80:c2:00:00:00 to 0f (STP, LLDP, LACP, EAPOL).",
            examples: &[],
        },
        text(
            "midstream",
            Kind::Choice(&["grace", "always", "never"]),
            "grace",
            "When conversations are adopted that were not seen to begin, if a rule permits them. grace: for \
             flows.midstream_grace_s after the start, later only by rules with midstream = true. always: at any time. never: \
             not even by such rules; what begins while the flow table is full goes on all the same.",
        ),
        text(
            "identity_a",
            Kind::Choice(&["mac-ip", "ip", "off"]),
            "mac-ip",
            "How strictly devices on side A are held to their bindings (`loadlock bindings list`) in monitor and enforce mode. \
             mac-ip: address, MAC and side belong together. ip: address and side, for a side behind a router, whose MAC \
             may change. off: not at all.",
        ),
        text(
            "identity_b",
            Kind::Choice(&["mac-ip", "ip", "off"]),
            "mac-ip",
            "The same for side B. A station with four or more learned addresses is taken for a router in any case, and its \
             addresses are held to the side only.",
        ),
        Key {
            name: "helpers",
            kind: Kind::Choices(&["ftp", "dcerpc", "tftp"]),
            default: Default::Texts(&[]),
            unit: "",
            meaning: "Protocols whose negotiated ports are opened without a rule of their own, for the two hosts of a permitted \
                      conversation, one direction and a time. ftp: data connections, active and passive (parent 21/tcp, opened for \
                      30 s and one connection). dcerpc: endpoints of the mapper and of OPC classic's activation (parent 135/tcp, \
                      300 s). tftp: the server's own port (parent 69/udp, 30 s, one transfer).",
            examples: &[],
        },
        text(
            "dataplane_dead",
            Kind::Choice(&["closed", "open"]),
            "closed",
            "When the dataplane is dead, hung or restarting. closed: nothing passes, since nobody is there to forward. open: a relay \
             beside the line joins the cables, so that everything passes unjudged; needs bypass_command or bypass_gpio. There is no static: rules need \
             somebody who judges.",
        ),
        text(
            "bypass_command",
            Kind::Path(PathRule::AbsoluteOrEmpty("no relay")),
            "",
            "Program that talks to the relay of a hardware bypass. It gets two arguments, a word and the segment's name. arm: the \
             frames are Loadlock's, watch the heartbeats. heartbeat: all is well. disarm: join the cables now. A relay that hears \
             no heartbeat for some times bypass_heartbeat_ms must join the cables by itself. The program must end within \
             bypass_heartbeat_ms, with code 0.",
        ),
        text(
            "bypass_gpio",
            Kind::GpioLine,
            "",
            "A relay at a GPIO line of the kernel, in place of a program: the line changes its level with each heartbeat. The relay \
             keeps the cables apart as long as it sees edges, and joins them by itself when there is none for some times \
             bypass_heartbeat_ms (a monostable, or the watchdog of a bypass card). The user loadlock must be allowed to open the chip.",
        ),
        text(
            "bypass_gpio_arm",
            Kind::GpioLine,
            "",
            "A second line for a relay that has one: active from arm to disarm, so that an ordered end joins the cables at once \
             instead of after the relay's time. Only with bypass_gpio.",
        ),
        integer(
            "bypass_heartbeat_ms",
            (50, 10_000),
            500,
            "ms",
            "Time between two heartbeats to the relay. They stop when a worker hangs and when the process dies.",
        ),
        text(
            "link_down",
            Kind::Choice(&["propagate", "static"]),
            "propagate",
            "When one side's link goes down. propagate: the other side's is taken down too, and let up again with it, so that \
             redundancy protocols see that the way is cut; where the driver can't, that is said once and left. static: the other \
             side's stays up. There is no open: a cable that isn't there forwards nothing.",
        ),
        integer(
            "link_hold_ms",
            (20, 60_000),
            100,
            "ms",
            "For so long a link must be down, or up again, before the other side's follows. It doubles with each change within a \
             minute, up to 64-fold, so that a link that flaps doesn't make the other flap.",
        ),
        text(
            "control_dead",
            Kind::Choice(&["static", "open", "closed"]),
            "static",
            "When control has been silent for dataplane.control_silence_s. static: the policy in force holds for ever, since the \
             line needs nobody to judge by it. open: forward everything, unjudged. closed: drop everything.",
        ),
        text(
            "no_policy",
            Kind::Choice(&["static", "open", "closed"]),
            "static",
            "While there is no policy: at the first start, or when the exchange was made anew. static: wait for one as long as \
             policy_wait_ms, then judge by `mode` without rules. open: forward everything, at once and unjudged. closed: drop \
             everything.",
        ),
        text(
            "policy_corrupt",
            Kind::Choice(&["static", "open", "closed"]),
            "static",
            "When the policy in the exchange is damaged. static: one that is met by running workers is refused, and the policy \
             before holds; at the start it is as without policy (no_policy). open: forward everything, unjudged, until there is \
             a whole one. closed: drop everything until then.",
        ),
        text(
            "table_full",
            Kind::Choice(&["static", "open", "closed"]),
            "static",
            "What becomes of a conversation for which the flow table has no room; those in it go on. static: what a rule \
             permits is forwarded, by a look-up for each frame. open: what no rule permits is forwarded too, and counted as \
             would-deny. closed: nothing new in enforce mode (flow_table_full).",
        ),
        text(
            "ring_full",
            Kind::Choice(&["static", "closed"]),
            "static",
            "What becomes of a new conversation while the event ring is full. static: as the rules say; it is reported later, \
             and what is lost is counted. closed: dropped in enforce mode (event_ring_full), so that nothing passes that \
             nobody knows of. There is no open: static stops nothing.",
        ),
    ],
};
