/* rte_cpu_get_intrinsics_support and rte_power_pause: "experimental" from 20.11 to 24.11, the same in all of them. */
#define ALLOW_EXPERIMENTAL_API

#include "shim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_bus.h>
#include <rte_cpuflags.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_ether.h>
#include <rte_mbuf_dyn.h>
#include <rte_power_intrinsics.h>

/* Rust reads these fields with these widths. */
#define FIELD_IS(field, type) \
	_Static_assert(sizeof(((struct rte_mbuf *)0)->field) == sizeof(type), "width of rte_mbuf." #field)
FIELD_IS(buf_addr, void *);
FIELD_IS(data_off, uint16_t);
FIELD_IS(nb_segs, uint16_t);
FIELD_IS(port, uint16_t);
FIELD_IS(ol_flags, uint64_t);
FIELD_IS(pkt_len, uint32_t);
FIELD_IS(data_len, uint16_t);
FIELD_IS(next, struct rte_mbuf *);

/* The longest RSS key of a driver in 24.11 is 52 bytes. */
#define RSS_KEY_BYTES_MAX 128
#define RSS_KEY_BYTES_DEFAULT 40
#define RETA_GROUPS_MAX 64

uint16_t loadlock_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_rx_burst(port, queue, mbufs, count);
}

uint16_t loadlock_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_tx_burst(port, queue, mbufs, count);
}

int loadlock_errno(void)
{
	return rte_errno;
}

uint64_t loadlock_tsc_cycles(void)
{
	return rte_rdtsc();
}

int loadlock_can_pause_until(void)
{
	struct rte_cpu_intrinsics can = { 0 };

	rte_cpu_get_intrinsics_support(&can);
	return can.power_pause;
}

void loadlock_pause_until(uint64_t tsc)
{
	(void)rte_power_pause(tsc);
}

int loadlock_timestamp_lookup(uint16_t *offset, uint64_t *flag)
{
	const int field = rte_mbuf_dynfield_lookup(RTE_MBUF_DYNFIELD_TIMESTAMP_NAME, NULL);
	const int bit = rte_mbuf_dynflag_lookup(RTE_MBUF_DYNFLAG_RX_TIMESTAMP_NAME, NULL);

	if (field < 0 || bit < 0)
		return -ENOENT;
	if ((size_t)field + sizeof(rte_mbuf_timestamp_t) > sizeof(struct rte_mbuf) || bit >= 64)
		return -ERANGE;
	*offset = (uint16_t)field;
	*flag = UINT64_C(1) << bit;
	return 0;
}

/*
 * Of the hash types a device offers, those over the two addresses and nothing else. FRAG and OTHER only join the plain
 * type: alone they would send a fragment elsewhere than the rest of its conversation. IPV6_EX stays out because it
 * hashes the addresses of extension headers, which one direction may carry and the other not.
 */
static uint64_t ip_pair_types(uint64_t offered)
{
	uint64_t types = 0;

	if (offered & RTE_ETH_RSS_IPV4)
		types |= offered & (RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_OTHER);
	if (offered & RTE_ETH_RSS_IPV6)
		types |= offered & (RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_FRAG_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_OTHER);
	return types;
}

static uint16_t rss_key_bytes(const struct rte_eth_dev_info *device)
{
	return device->hash_key_size != 0 ? device->hash_key_size : RSS_KEY_BYTES_DEFAULT;
}

/*
 * The Toeplitz hash XORs one 32-bit window of the key for each set bit of the input. With a key of period 32 bits the
 * windows of two bits 32n apart are equal, so swapping source and destination (32 or 128 bits apart) changes nothing.
 */
static void fill_symmetric_key(const struct loadlock_port_setup *setup, uint8_t *key, uint16_t bytes)
{
	for (uint16_t index = 0; index < bytes && index < RSS_KEY_BYTES_MAX; index++)
		key[index] = setup->rss_key[index % sizeof(setup->rss_key)];
}

/* IPv4 must be offered as such. With IPv6 not offered, all of it meets on one queue, which is symmetric too. */
static int can_hash_ip_pair(const struct rte_eth_dev_info *device)
{
	return (ip_pair_types(device->flow_type_rss_offloads) & RTE_ETH_RSS_IPV4) != 0 &&
		rss_key_bytes(device) <= RSS_KEY_BYTES_MAX;
}

/* The bytes of a frame beyond the MTU, as ethdev itself reckons them (eth_dev_get_overhead_len). */
static uint16_t frame_overhead(const struct rte_eth_dev_info *device)
{
	if (device->max_mtu != UINT16_MAX && device->max_rx_pktlen > device->max_mtu &&
	    device->max_rx_pktlen - device->max_mtu <= UINT16_MAX)
		return (uint16_t)(device->max_rx_pktlen - device->max_mtu);
	return RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;
}

static void describe_device(const struct rte_device *device, struct loadlock_port_info *info)
{
	if (device == NULL)
		return;
	const struct rte_bus *bus = rte_dev_bus(device);
	const struct rte_devargs *devargs = rte_dev_devargs(device);

	if (bus != NULL)
		snprintf(info->bus, sizeof(info->bus), "%s", rte_bus_name(bus));
	if (devargs != NULL && devargs->args != NULL)
		snprintf(info->devargs, sizeof(info->devargs), "%s", devargs->args);
}

int loadlock_port_info(uint16_t port, struct loadlock_port_info *info)
{
	struct rte_eth_dev_info device;
	int status = rte_eth_dev_info_get(port, &device);

	memset(info, 0, sizeof(*info));
	if (status != 0)
		return status;
	status = rte_eth_dev_get_name_by_port(port, info->name);
	if (status != 0)
		return status;
	if (device.driver_name != NULL)
		snprintf(info->driver, sizeof(info->driver), "%s", device.driver_name);
	describe_device(device.device, info);
	info->socket = rte_eth_dev_socket_id(port);
	info->rx_queues_max = device.max_rx_queues;
	info->tx_queues_max = device.max_tx_queues;
	info->mtu_min = device.min_mtu;
	info->mtu_max = device.max_mtu;
	info->rx_frame_bytes_max = device.max_rx_pktlen;
	info->frame_overhead_bytes = frame_overhead(&device);
	info->reta_size = device.reta_size;
	info->rss_key_bytes = rss_key_bytes(&device);
	info->rss_types_offered = device.flow_type_rss_offloads;
	info->rss_types_ip_pair = ip_pair_types(device.flow_type_rss_offloads);
	info->rss_symmetric = can_hash_ip_pair(&device);
	info->rx_scatter = (device.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER) != 0;
	info->tx_multi_segment = (device.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0;
	info->tx_fast_free = (device.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE) != 0;
	return 0;
}

/* The three offloads there are: none of them touches a byte of a frame. */
static void choose_offloads(const struct rte_eth_dev_info *device, struct loadlock_port_setup *setup,
			    struct rte_eth_conf *conf)
{
	setup->rx_scatter_granted = 0;
	setup->tx_multi_segment_granted = 0;
	setup->tx_fast_free_granted = 0;
	if (setup->rx_scatter && (device->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER)) {
		conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
		setup->rx_scatter_granted = 1;
	}
	/* A driver that takes FAST_FREE may look at the first segment only, so the two exclude each other. */
	if (setup->tx_one_pool && (device->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE)) {
		conf->txmode.offloads |= RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
		setup->tx_fast_free_granted = 1;
	} else if (device->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) {
		conf->txmode.offloads |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
		setup->tx_multi_segment_granted = 1;
	}
}

/* Asks for the IP-pair hash, where it is wanted, makes sense and can be had. */
static void choose_rss(const struct rte_eth_dev_info *device, struct loadlock_port_setup *setup,
		       struct rte_eth_conf *conf, uint8_t *key)
{
	setup->rss_symmetric = 0;
	setup->rss_confirmed = 0;
	setup->rss_types = 0;
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
	if (!setup->rss || setup->queues < 2 || !can_hash_ip_pair(device))
		return;
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf->rx_adv_conf.rss_conf.rss_hf = ip_pair_types(device->flow_type_rss_offloads);
	conf->rx_adv_conf.rss_conf.rss_key = key;
	conf->rx_adv_conf.rss_conf.rss_key_len = (uint8_t)rss_key_bytes(device);
	fill_symmetric_key(setup, key, rss_key_bytes(device));
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
	if (device->rss_algo_capa & RTE_ETH_HASH_ALGO_CAPA_MASK(TOEPLITZ))
		conf->rx_adv_conf.rss_conf.algorithm = RTE_ETH_HASH_FUNCTION_TOEPLITZ;
#endif
	setup->rss_types = conf->rx_adv_conf.rss_conf.rss_hf;
	setup->rss_symmetric = 1;
}

static int setup_queues(uint16_t port, const struct rte_eth_dev_info *device, struct loadlock_port_setup *setup,
			const struct rte_eth_conf *conf)
{
	const unsigned int socket = (unsigned int)rte_eth_dev_socket_id(port);
	struct rte_eth_rxconf rx = device->default_rxconf;
	struct rte_eth_txconf tx = device->default_txconf;
	int status;

	rx.offloads = conf->rxmode.offloads;
	tx.offloads = conf->txmode.offloads;
	for (uint16_t queue = 0; queue < setup->queues; queue++) {
		setup->failed_queue = queue;
		setup->stage = LOADLOCK_STAGE_RX_QUEUE;
		status = rte_eth_rx_queue_setup(port, queue, setup->rx_descriptors_granted, socket, &rx,
						setup->rx_pools[queue]);
		if (status != 0)
			return status;
		setup->stage = LOADLOCK_STAGE_TX_QUEUE;
		status = rte_eth_tx_queue_setup(port, queue, setup->tx_descriptors_granted, socket, &tx);
		if (status != 0)
			return status;
	}
	return 0;
}

/* Drivers that keep the MTU elsewhere (a kernel interface, firmware) only learn it by this call; others have no such
 * operation, and took it at configure. */
static int set_mtu(uint16_t port, struct loadlock_port_setup *setup)
{
	setup->stage = LOADLOCK_STAGE_MTU;
	int status = rte_eth_dev_set_mtu(port, setup->mtu);

	if (status != 0 && status != -ENOTSUP)
		return status;
	return rte_eth_dev_get_mtu(port, &setup->mtu_granted);
}

int loadlock_port_setup(uint16_t port, struct loadlock_port_setup *setup)
{
	struct rte_eth_dev_info device;
	struct rte_eth_conf conf;
	uint8_t key[RSS_KEY_BYTES_MAX];
	int status;

	setup->stage = LOADLOCK_STAGE_INFO;
	status = rte_eth_dev_info_get(port, &device);
	if (status != 0)
		return status;

	memset(&conf, 0, sizeof(conf));
	conf.rxmode.mtu = setup->mtu;
	choose_offloads(&device, setup, &conf);
	choose_rss(&device, setup, &conf, key);
	setup->stage = LOADLOCK_STAGE_CONFIGURE;
	status = rte_eth_dev_configure(port, setup->queues, setup->queues, &conf);
	if (status != 0)
		return status;

	setup->stage = LOADLOCK_STAGE_DESCRIPTORS;
	setup->rx_descriptors_granted = setup->rx_descriptors;
	setup->tx_descriptors_granted = setup->tx_descriptors;
	status = rte_eth_dev_adjust_nb_rx_tx_desc(port, &setup->rx_descriptors_granted,
						  &setup->tx_descriptors_granted);
	if (status != 0)
		return status;

	status = setup_queues(port, &device, setup, &conf);
	if (status != 0)
		return status;
	status = set_mtu(port, setup);
	if (status != 0)
		return status;
	setup->stage = LOADLOCK_STAGE_DONE;
	return 0;
}

/*
 * Spreads the table round-robin. Drivers do so by default, but a pair of ports must agree on the queue of a hash, so it
 * isn't left to them. (They agree when their tables are equally long or the number of queues is a power of two.)
 */
static int spread_reta(uint16_t port, uint16_t entries, uint16_t queues)
{
	struct rte_eth_rss_reta_entry64 groups[RETA_GROUPS_MAX];

	if (entries == 0)
		return 0;
	if (entries > RETA_GROUPS_MAX * RTE_ETH_RETA_GROUP_SIZE)
		return -E2BIG;
	memset(groups, 0, sizeof(groups));
	for (uint16_t entry = 0; entry < entries; entry++) {
		struct rte_eth_rss_reta_entry64 *group = &groups[entry / RTE_ETH_RETA_GROUP_SIZE];

		group->mask |= UINT64_C(1) << (entry % RTE_ETH_RETA_GROUP_SIZE);
		group->reta[entry % RTE_ETH_RETA_GROUP_SIZE] = entry % queues;
	}
	const int status = rte_eth_dev_rss_reta_update(port, groups, entries);

	return status == -ENOTSUP ? 0 : status;
}

/* 1: the device uses our key and hashes no L4 port; 0: it doesn't; -ENOTSUP: it can't say. */
static int rss_in_force(uint16_t port, uint8_t *key, uint16_t key_bytes)
{
	uint8_t found[RSS_KEY_BYTES_MAX] = {0};
	struct rte_eth_rss_conf conf;

	memset(&conf, 0, sizeof(conf));
	conf.rss_key = found;
	conf.rss_key_len = (uint8_t)key_bytes;
	const int status = rte_eth_dev_rss_hash_conf_get(port, &conf);

	if (status != 0)
		return status;
	return memcmp(found, key, key_bytes) == 0 &&
		(conf.rss_hf & (RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP)) == 0;
}

/* Reads the hash back, because some drivers take a key at configure and ignore it; sets it once more if so. */
static int confirm_rss(uint16_t port, const struct rte_eth_dev_info *device, struct loadlock_port_setup *setup)
{
	uint8_t key[RSS_KEY_BYTES_MAX];
	const uint16_t key_bytes = rss_key_bytes(device);

	fill_symmetric_key(setup, key, key_bytes);
	int status = rss_in_force(port, key, key_bytes);

	if (status == 0) {
		struct rte_eth_rss_conf conf;

		memset(&conf, 0, sizeof(conf));
		conf.rss_key = key;
		conf.rss_key_len = (uint8_t)key_bytes;
		conf.rss_hf = setup->rss_types;
		status = rte_eth_dev_rss_hash_update(port, &conf);
		if (status != 0)
			return status;
		status = rss_in_force(port, key, key_bytes);
		if (status == 0)
			return -EPROTO;
	}
	if (status == -ENOTSUP)
		return 0;
	setup->rss_confirmed = status == 1;
	return status < 0 ? status : 0;
}

/* What can only be set, or only holds, once the port runs. */
static int finish_start(uint16_t port, struct loadlock_port_setup *setup)
{
	struct rte_eth_dev_info device;
	int status;

	if (setup->promiscuous) {
		setup->stage = LOADLOCK_STAGE_PROMISCUOUS;
		status = rte_eth_promiscuous_enable(port);
		if (status != 0)
			return status;
	}
	if (!setup->rss_symmetric)
		return 0;
	setup->stage = LOADLOCK_STAGE_INFO;
	status = rte_eth_dev_info_get(port, &device);
	if (status != 0)
		return status;
	setup->stage = LOADLOCK_STAGE_RSS_TABLE;
	status = spread_reta(port, device.reta_size, setup->queues);
	if (status != 0)
		return status;
	setup->stage = LOADLOCK_STAGE_RSS_CHECK;
	return confirm_rss(port, &device, setup);
}

int loadlock_port_start(uint16_t port, struct loadlock_port_setup *setup)
{
	setup->stage = LOADLOCK_STAGE_START;
	int status = rte_eth_dev_start(port);

	if (status != 0)
		return status;
	status = finish_start(port, setup);
	if (status != 0) {
		(void)rte_eth_dev_stop(port);
		return status;
	}
	setup->stage = LOADLOCK_STAGE_DONE;
	return 0;
}

int loadlock_port_stats(uint16_t port, struct loadlock_port_stats *stats)
{
	struct rte_eth_stats counted;
	const int status = rte_eth_stats_get(port, &counted);

	if (status != 0)
		return status;
	*stats = (struct loadlock_port_stats){
		.ipackets = counted.ipackets,
		.opackets = counted.opackets,
		.ibytes = counted.ibytes,
		.obytes = counted.obytes,
		.imissed = counted.imissed,
		.ierrors = counted.ierrors,
		.oerrors = counted.oerrors,
		.rx_nombuf = counted.rx_nombuf,
	};
	return 0;
}

struct rte_mbuf *loadlock_mbuf_of(struct rte_mempool *pool, const uint8_t *bytes, uint16_t count)
{
	struct rte_mbuf *const mbuf = rte_pktmbuf_alloc(pool);

	if (mbuf == NULL)
		return NULL;
	char *const data = rte_pktmbuf_append(mbuf, count);

	if (data == NULL) {
		rte_pktmbuf_free(mbuf);
		return NULL;
	}
	memcpy(data, bytes, count);
	return mbuf;
}

int loadlock_port_link(uint16_t port, struct loadlock_port_link *link)
{
	struct rte_eth_link found;

	memset(&found, 0, sizeof(found));
	const int status = rte_eth_link_get_nowait(port, &found);

	if (status != 0)
		return status;
	*link = (struct loadlock_port_link){
		.speed_mbps = found.link_speed,
		.up = found.link_status == RTE_ETH_LINK_UP,
		.full_duplex = found.link_duplex == RTE_ETH_LINK_FULL_DUPLEX,
		.autonegotiated = found.link_autoneg == RTE_ETH_LINK_AUTONEG,
	};
	return 0;
}
