/*
 * The far end of a link over shared memory: two memif ports on one thread, which sends frames at a rate, stamps each with the time
 * and takes the time when it comes back on the other port. For `link.rs`.
 */

#include <stdint.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define BURST 32
#define MBUFS 65535
#define DESCRIPTORS 1024
/* The last bytes of a frame, behind the headers: the time, then a byte with the trial's number and the mark of what no rule permits. */
#define TRAILER_BYTES 6
#define STAMP_BYTES 5
#define MARK 1
#define STAMP_MASK ((UINT64_C(1) << 8 * STAMP_BYTES) - 1)
#define SUB_BUCKETS 16
#define BUCKETS (SUB_BUCKETS * 32)

static struct rte_mempool *pool;
/* Of the running trial, above the mark: what an earlier one left under way isn't counted. */
static uint8_t trial_number;

/* What a trial is given, and what it found. The same in `link.rs`. */
struct loadlock_bench_trial {
	uint64_t packets_per_second; /* offered on all ports together; 0: as many as the link takes */
	uint64_t cycles;             /* how long */
	const uint8_t *frames[2];    /* what goes out on each port, in turn, each in `stride` bytes */
	const uint16_t *lengths[2];
	uint32_t counts[2];          /* frames of each port; a port with none doesn't send */
	uint32_t stride;
	uint32_t counter_at[2];      /* where the halves of a running number go, 2 bytes each; 0: nowhere */
	uint32_t number;             /* the running number's start, and its end afterwards */
	uint32_t backlog_max;        /* frames that may be due at once; more, since this thread was late, are withheld; 0: any number */
	uint32_t pause_ns;           /* sleep of this thread whenever nothing is due and little came back; 0: it polls all the time */
	uint64_t offered;            /* frames that were due, whether the link took them or not */
	uint64_t offered_marked;     /* those of them that no rule permits */
	uint64_t sent;
	uint64_t received;
	uint64_t received_marked;
	uint64_t withheld;
	uint64_t late;               /* received frames of earlier trials */
	uint64_t latency[BUCKETS];   /* cycles, log-linear with 16 buckets a power of two */
};

/* Starts EAL on `lcore` with both devices, and the ports; 0 or the step that failed. */
int loadlock_bench_link_open(char *lcore, char *prefix, char *device_a, char *device_b, int hugepages)
{
	char name[] = "link", lcores[] = "--lcores", no_pci[] = "--no-pci", in_memory[] = "--in-memory";
	/* What the pool takes, since nothing is added later. */
	char no_huge[] = "--no-huge", size[] = "-m", mib[] = "512";
	char telemetry[] = "--no-telemetry", level[] = "--log-level=error", vdev[] = "--vdev", vdev_b[] = "--vdev";
	char *arguments[] = { name, lcores, lcore, prefix, no_pci, telemetry, level, vdev, device_a, vdev_b, device_b,
		hugepages ? in_memory : no_huge, size, mib, NULL };

	if (rte_eal_init(hugepages ? 12 : 14, arguments) < 0)
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

/* Takes a port's link away, and gives it back; 0 when it is on its way up. */
int loadlock_bench_link_flap(uint16_t port, uint32_t down_ms)
{
	if (rte_eth_dev_stop(port) < 0)
		return 1;
	rte_delay_us_sleep(1000 * down_ms);
	return rte_eth_dev_start(port) < 0;
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

static uint32_t receive(struct loadlock_bench_trial *trial)
{
	uint32_t received = 0;

	for (uint16_t port = 0; port < 2; port++) {
		struct rte_mbuf *burst[BURST];
		uint16_t count = rte_eth_rx_burst(port, 0, burst, BURST);
		uint64_t now = rte_rdtsc();

		for (uint16_t at = 0; at < count; at++) {
			uint64_t stamp = 0;
			const uint8_t *trailer = rte_pktmbuf_mtod_offset(burst[at], const uint8_t *, rte_pktmbuf_data_len(burst[at]) - TRAILER_BYTES);

			if ((trailer[STAMP_BYTES] & ~MARK) != trial_number) {
				trial->late++;
				continue;
			}
			memcpy(&stamp, trailer, STAMP_BYTES);
			record(trial, (now - stamp) & STAMP_MASK);
			trial->received++;
			trial->received_marked += trailer[STAMP_BYTES] & MARK;
		}
		rte_pktmbuf_free_bulk(burst, count);
		received += count;
	}
	return received;
}

static void sleep_for(uint32_t ns)
{
	const struct timespec pause = { .tv_nsec = ns };

	nanosleep(&pause, NULL);
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
		const uint16_t length = trial->lengths[port][*next];
		uint8_t *data = (uint8_t *)rte_pktmbuf_append(burst[at], length);

		memcpy(data, trial->frames[port] + (size_t)*next * trial->stride, length);
		memcpy(data + length - TRAILER_BYTES, &now, STAMP_BYTES);
		trial->offered_marked += data[length - 1];
		data[length - 1] |= trial_number;
		if (trial->counter_at[0] != 0) {
			memcpy(data + trial->counter_at[0], (uint8_t *)&trial->number + 2, 2);
			memcpy(data + trial->counter_at[1], &trial->number, 2);
			trial->number++;
		}
		*next = *next + 1 == trial->counts[port] ? 0 : *next + 1;
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

	trial_number += 2 * MARK;
	while ((now = rte_rdtsc()) < end) {
		uint64_t due = BURST;

		if (trial->packets_per_second != 0)
			due = (uint64_t)((double)(now - start) * per_cycle) - trial->offered - trial->withheld;
		if (trial->backlog_max != 0 && due > trial->backlog_max) {
			trial->withheld += due - trial->backlog_max;
			due = trial->backlog_max;
		}
		if (due != 0) {
			if (trial->counts[port] == 0)
				port ^= 1;
			offer(trial, port, due < BURST ? due : BURST, &next[port]);
			port ^= 1;
		}
		if (receive(trial) < BURST && due < BURST && trial->pause_ns != 0)
			sleep_for(trial->pause_ns);
	}
	while (rte_rdtsc() < end + rte_get_tsc_hz() / 20) {
		if (receive(trial) < BURST && trial->pause_ns != 0)
			sleep_for(trial->pause_ns);
	}
}
