//! The keys of `[[port]]`.

use super::{PORTS_MAX, integer, required, shaped};
use crate::schema::{Default, Key, Kind, Repeated, Shape, Table};

pub(crate) static PORT: Table = Table {
    name: "port",
    repeated: Some(Repeated { minimum: 2, maximum: PORTS_MAX, shown: 2 }),
    meaning: "One [[port]] for each network port: 2 to 32 of them, because DPDK limits a process to 32. Each belongs to \
              exactly one side of one segment.",
    keys: &[
        required(
            "name",
            Kind::Name { underscore: false },
            &["\"fab-a\"", "\"fab-b\""],
            "Name of the port in counters, logs and the API. No two ports share one.",
        ),
        required(
            "device",
            Kind::Device,
            &["\"0000:3b:00.0\"", "\"0000:3b:00.1\""],
            "What is behind the port: the PCI address of a card bound to vfio-pci (or of a bifurcated driver such as mlx5), \
             or a virtual driver of DPDK. No two ports share a PCI address.",
        ),
        integer(
            "mtu",
            (68, 9702),
            1500,
            "bytes",
            "Largest payload of an Ethernet frame. The two ports of a segment need the same, and mbuf_data_bytes must hold \
             it.",
        ),
        Key {
            name: "promiscuous",
            kind: Kind::Flag,
            default: Default::Flag(true),
            unit: "",
            meaning: "Whether the device is told to take frames to every address. A line needs that; false is for a device that hands \
                      over every frame without it and refuses the mode, such as a trusted virtual function.",
            examples: &[],
        },
        shaped(
            "rx_descriptors",
            (64, 8192),
            Shape::OrZero("as dataplane.rx_descriptors"),
            0,
            "descriptors",
            "Length of each of this port's receive queues, if it is to differ from the others'.",
        ),
        shaped(
            "tx_descriptors",
            (64, 8192),
            Shape::OrZero("as dataplane.tx_descriptors"),
            0,
            "descriptors",
            "Length of each of this port's transmit queues, if it is to differ from the others'.",
        ),
        shaped(
            "mbufs",
            (1024, 16_777_215),
            Shape::OrZero("from the pool of dataplane.mbufs"),
            0,
            "buffers",
            "Packet buffers of a pool of its own, on the port's NUMA node, so that a flood on one port leaves the others' \
             buffers alone. It must fill the port's receive queues, the transmit queues of the port on the other side, and the \
             workers' caches; too few is an error that says how many are needed.",
        ),
        shaped(
            "mbuf_cache",
            (1, 512),
            Shape::OrZero("as dataplane.mbuf_cache"),
            0,
            "buffers",
            "Buffers of that pool that each worker keeps to itself. Only with mbufs.",
        ),
        Key {
            name: "offloads",
            kind: Kind::Choices(&["tx-fast-free"]),
            default: Default::Texts(&[]),
            unit: "",
            meaning: "What the device is to do itself. tx-fast-free: it gives sent buffers back without looking at each, which \
                      saves cycles; a device that can't is refused at start. Everything that would change a frame, drop one or \
                      add to it (VLAN stripping, checksums, coalescing, segmentation) is refused, and off in any case.",
            examples: &[],
        },
        Key {
            name: "options",
            kind: Kind::Options,
            default: Default::Absent,
            unit: "",
            meaning: "Options of a virtual driver, listed below. A value may not contain a comma, an equals sign, square \
                      brackets, spaces or control characters, because DPDK's argument syntax has no escape for them. \
                      Relative paths count from the folder of this file.",
            examples: &[],
        },
    ],
};
