/*
 * The far end of a link over shared memory: two memif ports on one thread, which sends frames at a rate, stamps each with the time
 * and takes the time when it comes back on the other port. For `latency/link.rs`.
 */

#include <stdint.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define BURST 32
#define MBUFS 65535
#define DESCRIPTORS 1024
/* The stamp lies in the padding of a 60-byte frame, behind the TCP header. */
#define STAMP_AT 54
#define STAMP_BYTES 6
#define STAMP_MASK ((UINT64_C(1) << 8 * STAMP_BYTES) - 1)
#define SUB_BUCKETS 16
#define BUCKETS (SUB_BUCKETS * 32)

static struct rte_mempool *pool;

/* What a trial is given, and what it found. The same in `link.rs`. */
struct loadlock_bench_trial {
	uint64_t packets_per_second; /* offered on both ports together; 0: as many as the link takes */
	uint64_t cycles;             /* how long */
	const uint8_t *frames[2];    /* what goes out on each port, in turn, 60 bytes each */
	uint32_t frame_count;
	uint32_t frame_bytes;
	uint64_t offered;            /* frames that were due, whether the link took them or not */
	uint64_t sent;
	uint64_t received;
	uint64_t latency[BUCKETS];   /* cycles, log-linear with 16 buckets a power of two */
};

/* Starts EAL on `lcore` with both devices, and the ports; 0 or the step that failed. */
int loadlock_bench_link_open(char *lcore, char *device_a, char *device_b)
{
	char name[] = "link", lcores[] = "--lcores", no_pci[] = "--no-pci", memory[] = "--in-memory";
	char telemetry[] = "--no-telemetry", level[] = "--log-level=error", vdev[] = "--vdev", vdev_b[] = "--vdev";
	char *arguments[] = { name, lcores, lcore, no_pci, memory, telemetry, level, vdev, device_a, vdev_b, device_b, NULL };

	if (rte_eal_init(11, arguments) < 0)
		return 1;
	pool = rte_pktmbuf_pool_create("link", MBUFS, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL)
		return 2;
	if (rte_eth_dev_count_avail() != 2)
		return 3;
	for (uint16_t port = 0; port < 2; port++) {
		struct rte_eth_conf none = { 0 };

		if (rte_eth_dev_configure(port, 1, 1, &none) < 0
				|| rte_eth_rx_queue_setup(port, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL, pool) < 0
				|| rte_eth_tx_queue_setup(port, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL) < 0
				|| rte_eth_dev_start(port) < 0)
			return 4;
	}
	return 0;
}

/* 1 when both ports are connected. */
int loadlock_bench_link_up(void)
{
	for (uint16_t port = 0; port < 2; port++) {
		struct rte_eth_link link;

		if (rte_eth_link_get_nowait(port, &link) < 0 || !link.link_status)
			return 0;
	}
	return 1;
}

uint64_t loadlock_bench_tsc_hz(void)
{
	return rte_get_tsc_hz();
}

static void record(struct loadlock_bench_trial *trial, uint64_t cycles)
{
	uint64_t value = cycles < SUB_BUCKETS ? SUB_BUCKETS : cycles;
	unsigned int octave = 63 - __builtin_clzll(value) - 4;
	unsigned int bucket = octave * SUB_BUCKETS + (unsigned int)(value >> octave) - SUB_BUCKETS;

	trial->latency[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

static void receive(struct loadlock_bench_trial *trial)
{
	for (uint16_t port = 0; port < 2; port++) {
		struct rte_mbuf *burst[BURST];
		uint16_t count = rte_eth_rx_burst(port, 0, burst, BURST);
		uint64_t now = rte_rdtsc();

		for (uint16_t at = 0; at < count; at++) {
			uint64_t stamp = 0;

			memcpy(&stamp, rte_pktmbuf_mtod_offset(burst[at], uint8_t *, STAMP_AT), STAMP_BYTES);
			record(trial, (now - stamp) & STAMP_MASK);
		}
		trial->received += count;
		rte_pktmbuf_free_bulk(burst, count);
	}
}

/* Offers `count` frames on one port; what the link doesn't take is lost, as on a wire. */
static void offer(struct loadlock_bench_trial *trial, uint16_t port, uint16_t count, uint32_t *next)
{
	struct rte_mbuf *burst[BURST];
	uint64_t now = rte_rdtsc();
	uint16_t taken;

	trial->offered += count;
	if (rte_pktmbuf_alloc_bulk(pool, burst, count) != 0)
		return;
	for (uint16_t at = 0; at < count; at++) {
		const uint8_t *frame = trial->frames[port] + (size_t)*next * trial->frame_bytes;
		uint8_t *data = (uint8_t *)rte_pktmbuf_append(burst[at], trial->frame_bytes);

		memcpy(data, frame, trial->frame_bytes);
		memcpy(data + STAMP_AT, &now, STAMP_BYTES);
		*next = *next + 1 == trial->frame_count ? 0 : *next + 1;
	}
	taken = rte_eth_tx_burst(port, 0, burst, count);
	trial->sent += taken;
	rte_pktmbuf_free_bulk(burst + taken, count - taken);
}

/* Sends at the rate for as long as said, then receives for another 50 ms what is still under way. */
void loadlock_bench_trial(struct loadlock_bench_trial *trial)
{
	const double per_cycle = (double)trial->packets_per_second / (double)rte_get_tsc_hz();
	const uint64_t start = rte_rdtsc(), end = start + trial->cycles;
	uint32_t next[2] = { 0, 0 };
	uint16_t port = 0;
	uint64_t now;

	while ((now = rte_rdtsc()) < end) {
		uint64_t due = BURST;

		if (trial->packets_per_second != 0)
			due = (uint64_t)((double)(now - start) * per_cycle) - trial->offered;
		if (due != 0) {
			offer(trial, port, due < BURST ? due : BURST, &next[port]);
			port ^= 1;
		}
		receive(trial);
	}
	while (rte_rdtsc() < end + rte_get_tsc_hz() / 20)
		receive(trial);
}
