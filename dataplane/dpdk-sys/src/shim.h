/*
 * The C side of loadlock-dpdk-sys: DPDK's inline functions as real ones, and port set-up on plain structures, so that
 * no Rust code depends on the layout of a DPDK structure. Builds against DPDK 22.11, 23.11 and 24.11.
 *
 * Functions that can fail return 0 or a negative errno value, as DPDK's do.
 */
#ifndef LOADLOCK_DPDK_SHIM_H
#define LOADLOCK_DPDK_SHIM_H

#include <stddef.h>
#include <stdint.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_version.h>

/* Byte offsets of the mbuf fields that Rust reads; their widths are asserted in shim.c. */
enum loadlock_mbuf_field {
	LOADLOCK_MBUF_BUF_ADDR = offsetof(struct rte_mbuf, buf_addr), /* void *   */
	LOADLOCK_MBUF_DATA_OFF = offsetof(struct rte_mbuf, data_off), /* uint16_t */
	LOADLOCK_MBUF_NB_SEGS = offsetof(struct rte_mbuf, nb_segs),   /* uint16_t */
	LOADLOCK_MBUF_PORT = offsetof(struct rte_mbuf, port),         /* uint16_t */
	LOADLOCK_MBUF_OL_FLAGS = offsetof(struct rte_mbuf, ol_flags), /* uint64_t */
	LOADLOCK_MBUF_PKT_LEN = offsetof(struct rte_mbuf, pkt_len),   /* uint32_t */
	LOADLOCK_MBUF_DATA_LEN = offsetof(struct rte_mbuf, data_len), /* uint16_t */
	LOADLOCK_MBUF_NEXT = offsetof(struct rte_mbuf, next),         /* struct rte_mbuf * */
	LOADLOCK_MBUF_BYTES = sizeof(struct rte_mbuf),
};

/* Limits that DPDK's build configuration sets. */
enum loadlock_limit {
	LOADLOCK_LCORES_MAX = RTE_MAX_LCORE,
	LOADLOCK_PORTS_MAX = RTE_MAX_ETHPORTS,
	LOADLOCK_PORT_NAME_BYTES = RTE_ETH_NAME_MAX_LEN,      /* with the NUL */
	LOADLOCK_MEMPOOL_NAME_BYTES = RTE_MEMPOOL_NAMESIZE,   /* with the NUL */
	LOADLOCK_MEMPOOL_CACHE_MAX = RTE_MEMPOOL_CACHE_MAX_SIZE,
	LOADLOCK_HEADROOM_BYTES = RTE_PKTMBUF_HEADROOM,
};

/* The step of setting a port up or starting it that failed. */
enum loadlock_port_stage {
	LOADLOCK_STAGE_DONE = 0,
	LOADLOCK_STAGE_INFO,
	LOADLOCK_STAGE_CONFIGURE,
	LOADLOCK_STAGE_DESCRIPTORS,
	LOADLOCK_STAGE_RX_QUEUE,
	LOADLOCK_STAGE_TX_QUEUE,
	LOADLOCK_STAGE_MTU,
	LOADLOCK_STAGE_START,
	LOADLOCK_STAGE_PROMISCUOUS,
	LOADLOCK_STAGE_RSS_TABLE,
	LOADLOCK_STAGE_RSS_CHECK,
};

/* What a port is and can do. */
struct loadlock_port_info {
	char name[RTE_ETH_NAME_MAX_LEN]; /* NUL-terminated, as are the following */
	char driver[RTE_ETH_NAME_MAX_LEN];
	char bus[RTE_ETH_NAME_MAX_LEN];
	char devargs[256];              /* cut to fit */
	int32_t socket;                 /* NUMA node, -1 where there is none */
	uint16_t rx_queues_max;
	uint16_t tx_queues_max;
	uint16_t mtu_min;
	uint16_t mtu_max;
	uint32_t rx_frame_bytes_max;    /* with the CRC, as drivers count it */
	uint16_t frame_overhead_bytes;  /* a frame's bytes beyond the MTU, with the CRC, as this driver counts */
	uint16_t reta_size;             /* entries in the RSS table, 0 where there is none */
	uint16_t rss_key_bytes;
	uint64_t rss_types_offered;     /* RTE_ETH_RSS_* */
	uint64_t rss_types_ip_pair;     /* those of them that hash addresses and nothing else */
	uint8_t rss_symmetric;          /* the IP pair can be hashed alike in both directions */
	uint8_t rx_scatter;             /* a frame may span mbufs on receive */
	uint8_t tx_multi_segment;       /* and on transmit */
	uint8_t tx_fast_free;
};

/* A port's set-up: the caller fills the first part, the shims the second. */
struct loadlock_port_setup {
	struct rte_mempool *const *rx_pools; /* one for each queue */
	uint16_t queues;                     /* of each direction */
	uint16_t rx_descriptors;
	uint16_t tx_descriptors;
	uint16_t mtu;
	uint8_t promiscuous;
	uint8_t rss;          /* spread over the queues by IP pair, if the device can */
	uint8_t rx_scatter;   /* let a frame span mbufs, if the device can */
	/* The caller vouches that each TX queue only ever gets unshared one-segment mbufs of one pool. */
	uint8_t tx_one_pool;
	uint8_t rss_key[4];   /* repeated over the device's length; with a period of 32 bits both directions hash alike */

	uint16_t rx_descriptors_granted;
	uint16_t tx_descriptors_granted;
	uint16_t mtu_granted;
	uint8_t rx_scatter_granted;
	uint8_t tx_multi_segment_granted;
	uint8_t tx_fast_free_granted;
	uint8_t rss_symmetric;  /* the IP-pair hash with the symmetric key was accepted */
	uint8_t rss_confirmed;  /* and the device read back the same key after start */
	uint64_t rss_types;     /* RTE_ETH_RSS_* in force, 0 with one queue */
	uint32_t stage;         /* enum loadlock_port_stage */
	uint16_t failed_queue;  /* meaningful at the two queue stages */
};

/* Counters of a port since its start. */
struct loadlock_port_stats {
	uint64_t ipackets;
	uint64_t opackets;
	uint64_t ibytes;
	uint64_t obytes;
	uint64_t imissed;
	uint64_t ierrors;
	uint64_t oerrors;
	uint64_t rx_nombuf;
};

/* A port's link. */
struct loadlock_port_link {
	uint32_t speed_mbps; /* UINT32_MAX where the driver doesn't know */
	uint8_t up;
	uint8_t full_duplex;
	uint8_t autonegotiated;
};

/* Whether this CPU can wait for a time by itself, in a state that saves power: 1 or 0. */
int loadlock_can_pause_until(void);

/* Waits so until the time-stamp counter is at `tsc`, or somewhat less. Only after loadlock_can_pause_until gave 1. */
void loadlock_pause_until(uint64_t tsc);

/* Takes up to `count` frames from a queue of a started port; returns how many mbufs it wrote. One thread a queue. */
uint16_t loadlock_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);

/* Gives up to `count` mbufs to a queue of a started port; returns how many, from the first on, the driver took. */
uint16_t loadlock_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);

/* An mbuf of `pool` that holds these bytes, or NULL: the pool is empty, or they don't fit into one. */
struct rte_mbuf *loadlock_mbuf_of(struct rte_mempool *pool, const uint8_t *bytes, uint16_t count);

/* Fills `info`. */
int loadlock_port_info(uint16_t port, struct loadlock_port_info *info);

/* Configures a stopped port with all its queues. No offload that would change a frame is ever asked for. */
int loadlock_port_setup(uint16_t port, struct loadlock_port_setup *setup);

/* Starts a port that `loadlock_port_setup` took, with the same structure. On failure the port is stopped. */
int loadlock_port_start(uint16_t port, struct loadlock_port_setup *setup);

/* Fills `stats`. */
int loadlock_port_stats(uint16_t port, struct loadlock_port_stats *stats);

/* Fills `link` without waiting for a negotiation. */
int loadlock_port_link(uint16_t port, struct loadlock_port_link *link);

/* This thread's rte_errno, positive. */
int loadlock_errno(void);

/* The time-stamp counter. */
uint64_t loadlock_tsc_cycles(void);

/* Where drivers put the receive time stamp (byte offset in the mbuf) and the ol_flags bit that says it is there.
 * -ENOENT until some driver has registered them. */
int loadlock_timestamp_lookup(uint16_t *offset, uint64_t *flag);

#endif
