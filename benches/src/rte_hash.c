/* DPDK's hash table with lock-free readers, behind four functions for the bench in `lookup.rs`. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_hash.h>

#define KEY_BYTES 16
#define BURST 32

/* Starts EAL without cards or files on `lcore`; negative on failure. */
int loadlock_bench_eal(char *lcore)
{
	char name[] = "bench", lcores[] = "--lcores", no_pci[] = "--no-pci", memory[] = "--in-memory";
	char telemetry[] = "--no-telemetry", level[] = "--log-level=error";
	char *arguments[] = { name, lcores, lcore, no_pci, memory, telemetry, level, NULL };

	return rte_eal_init(7, arguments);
}

/* A table for `entries` keys of 16 bytes; NULL on failure. */
struct rte_hash *loadlock_bench_hash_new(uint32_t entries)
{
	struct rte_hash_parameters parameters = {
		.name = "bench",
		.entries = entries,
		.key_len = KEY_BYTES,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF,
	};

	return rte_hash_create(&parameters);
}

void loadlock_bench_hash_free(struct rte_hash *hash)
{
	rte_hash_free(hash);
}

/* Negative on failure. */
int loadlock_bench_hash_add(struct rte_hash *hash, const uint8_t *key)
{
	return rte_hash_add_key(hash, key);
}

/* Looks `count` keys up, a multiple of 32, in bursts of 32; returns how many were found. */
uint64_t loadlock_bench_hash_lookup(const struct rte_hash *hash, const uint8_t *keys, size_t count)
{
	uint64_t found = 0;

	for (size_t at = 0; at < count; at += BURST) {
		const void *pointers[BURST];
		int32_t positions[BURST];

		for (size_t key = 0; key < BURST; key++)
			pointers[key] = keys + (at + key) * KEY_BYTES;
		rte_hash_lookup_bulk(hash, pointers, BURST, positions);
		for (size_t key = 0; key < BURST; key++)
			found += positions[key] >= 0;
	}
	return found;
}
