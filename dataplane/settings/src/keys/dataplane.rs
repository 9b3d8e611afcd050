//! The keys of `[dataplane]`.

use super::{WORKERS_MAX, integer, required, shaped, text};
use crate::schema::{CORE_MAX, Default, Key, Kind, PathRule, Shape, Table};

pub(crate) static DATAPLANE: Table = Table {
    name: "dataplane",
    repeated: None,
    meaning: "The process loadlock-dataplane: its cores, its memory, its queues.",
    keys: &[
        shaped(
            "main_core",
            (0, CORE_MAX),
            Shape::Core,
            0,
            "",
            "CPU of the housekeeping thread (EAL's main lcore). It forwards nothing, so it may share its core with \
             control.core, but never with a worker.",
        ),
        required(
            "worker_cores",
            Kind::Cores { count_min: 1, count_max: WORKERS_MAX },
            &["[1]"],
            "CPUs of the workers: one pinned, busy-polling thread each. Every port gets one queue pair for each worker \
             that serves its segment (worker_cores of [[segment]]). Keep these cores free of everything else (isolcpus or a cpuset), and on the NUMA node of the cards.",
        ),
        integer(
            "burst_packets",
            (4, 64),
            64,
            "frames",
            "Most frames taken from a receive queue at a time. Larger bursts are cheaper per frame and add latency.",
        ),
        text(
            "file_prefix",
            Kind::Name { underscore: true },
            "loadlock",
            "Prefix of EAL's runtime files. Two dataplanes on one machine need two prefixes.",
        ),
        Key {
            name: "hugepages",
            kind: Kind::Flag,
            default: Default::Flag(true),
            unit: "",
            meaning: "false runs EAL with --no-huge: for functional tests only. No speed is ever quoted without \
                      hugepages.",
            examples: &[],
        },
        text(
            "hugepage_dir",
            Kind::Path(PathRule::AbsoluteOrEmpty("EAL finds the mount itself")),
            "",
            "Mount point of the hugetlbfs to take memory from, where a machine has several.",
        ),
        text(
            "hugepage_size",
            Kind::Choice(&["any", "2M", "1G"]),
            "any",
            "Size of the hugepages that packet buffers lie on, where a machine has reserved several. 2M, 1G: that size only, \
             from hugepage_dir or the first hugetlbfs mounted with it; without one, or without free pages of it, the start is \
             refused. any: as EAL finds them. Flow tables lie on pages of the kernel's default size in any case.",
        ),
        shaped(
            "memory_mib",
            (64, 1_048_576),
            Shape::OrZero("worked out from the pool and table sizes"),
            0,
            "MiB",
            "Memory that EAL reserves at start.",
        ),
        integer(
            "mbufs",
            (1024, 16_777_215),
            32_768,
            "buffers",
            "Packet buffers in the one pool of all ports that have none of their own (mbufs of [[port]]). It must fill every \
             descriptor in which buffers of it can lie, and the workers' caches; too few is an error that says how many are \
             needed. 2^n - 1 uses memory best.",
        ),
        integer(
            "mbuf_cache",
            (0, 512),
            256,
            "buffers",
            "Buffers that each worker keeps to itself, so that it seldom goes to the shared pool.",
        ),
        integer(
            "mbuf_data_bytes",
            (1152, 65_535),
            2176,
            "bytes",
            "Data room of a buffer, 128 bytes of headroom included. A whole frame (mtu + 26 bytes of Ethernet header, two \
             VLAN tags and checksum) must fit behind the headroom.",
        ),
        integer(
            "rx_descriptors",
            (64, 8192),
            1024,
            "descriptors",
            "Length of each receive queue. The device may round it up.",
        ),
        integer(
            "tx_descriptors",
            (64, 8192),
            1024,
            "descriptors",
            "Length of each transmit queue. The device may round it up.",
        ),
        integer(
            "tx_retries",
            (0, 1000),
            4,
            "tries",
            "Extra tries for the frames that a full transmit queue didn't take. What is left then is dropped and counted.",
        ),
        text(
            "idle",
            Kind::Choice(&["spin", "pause", "power"]),
            "spin",
            "What a worker does while none of its queues has a frame. spin: look again at once; the least latency, the most power. \
             pause: look ever more seldom, with the CPU's pause instruction between, up to idle_pause_us; a hyperthread beside it \
             gets the core's units meanwhile. power: the same with the CPU's timed wait (TPAUSE), which lets the core save power; \
             refused at start on a CPU without WAITPKG. The core counts as busy in all three. Under load nothing is waited for.",
        ),
        integer(
            "idle_pause_us",
            (1, 100),
            10,
            "us",
            "Longest pause between two looks, reached after some hundred looks in vain: at most so much latency is added to the first \
             frame after a silence, and none to those behind it. Ten thousand times a second a worker has other work, which is why it can't be longer. Receive queues must hold what arrives meanwhile: 1 us is 15 of the \
             smallest frames at 10 Gbit/s and 149 at 100 Gbit/s. Without effect with idle = \"spin\".",
        ),
        text(
            "rss",
            Kind::Choice(&["symmetric", "device"]),
            "symmetric",
            "How frames are spread over several workers. symmetric: the card must hash both directions of an IP pair to the \
             same worker, or the start is refused. device: trust the device's own way (virtual devices, tests). Without \
             effect with one worker.",
        ),
        Key {
            name: "rss_key",
            kind: Kind::RssKey,
            default: Default::Text("6d5a6d5a"),
            unit: "",
            meaning: "Key of the hash that spreads frames over the queues of a card, repeated over the length that the card wants. \
                      A period of 4 bytes is what makes both directions of an IP pair hash alike. Another key spreads the same \
                      hosts otherwise, if they should happen to meet on one worker. Read back from the card at start. Without \
                      effect with one worker.",
            examples: &[],
        },
        text(
            "numa",
            Kind::Choice(&["prefer", "require"]),
            "prefer",
            "What holds of workers whose CPU isn't on the NUMA node of a card they serve, which costs each frame a way between \
             the nodes. prefer: a note of scripts/host/check and --preflight. require: a mistake, and nothing starts. Tables of \
             flows are always on their worker's node, and a port's own buffers (mbufs of [[port]]) on the port's.",
        ),
        text(
            "clock",
            Kind::Choice(&["tsc", "capture"]),
            "tsc",
            "tsc: the CPU's time stamp counter. capture: time is the timestamp in the capture file, and both ports of a \
             segment are processed in timestamp order; needs one worker and only net_pcap ports that read files.",
        ),
        integer(
            "policy_wait_ms",
            (0, 600_000),
            10_000,
            "ms",
            "How long the dataplane waits at its start for control's first policy. 0: not at all.",
        ),
        integer(
            "watchdog_ms",
            (20, 10_000),
            80,
            "ms",
            "Silence of a worker after which it counts as hung. It is looked at every 10 ms, so that the default notices within \
             100 ms. Only time in which the watching thread itself ran counts, so that a stopped virtual machine isn't taken for \
             a hung worker.",
        ),
        text(
            "worker_hung",
            Kind::Choice(&["restart", "static"]),
            "restart",
            "When a worker hangs. restart: the process ends at once (exit code 8), and whoever supervises it starts it again; \
             meanwhile each segment is as its dataplane_dead says. One worker serves all segments, so that this can't be said for \
             each. static: go on with the other workers; the frames of the hung one's queues are lost, and it is an alarm.",
        ),
        integer(
            "control_silence_s",
            (1, 3600),
            10,
            "s",
            "Silence of control after which it counts as dead for control_dead. An upgrade of control takes one or two.",
        ),
        integer(
            "latency_sample_bursts",
            (1, 65_536),
            64,
            "bursts",
            "One burst in this many is timed from receive to transmit.",
        ),
        integer(
            "age_step_entries",
            (1, 65_536),
            64,
            "entries",
            "Flow entries looked at for expiry per ageing step. More expires sooner and adds jitter.",
        ),
    ],
};
