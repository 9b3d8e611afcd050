#!/usr/bin/env python3
"""Frames of an attacker: attacker.py OWN_MAC OWN_IP OWN_IP6 PEER_MAC PEER_IP PEER_IP6 TCP_PORT UDP_PORT.

For each name of an attack on standard input sends its frames on eth0 and prints how many. Run in a host's namespace by tests/live_campaign.rs, which knows what must become of them.
"""
import socket
import sys

from scapy.all import (GRE, ICMP, IP, IPv6, Dot1Q, Ether, ICMPv6DestUnreach, ICMPv6ND_RA, ICMPv6NDOptPrefixInfo,
                       ICMPv6NDOptSrcLLAddr, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrRouting, Raw, TCP, UDP, VXLAN)

own_mac, own, own6, peer_mac, peer, peer6, tcp_port, udp_port = sys.argv[1:]
tcp_port, udp_port = int(tcp_port), int(udp_port)
link = Ether(src=own_mac, dst=peer_mac)
ip = IP(src=own, dst=peer)
ip6 = IPv6(src=own6, dst=peer6)


def stateless():
    return [link / layer / TCP(sport=25000 + at, dport=tcp_port, flags=flags)
            for layer in (ip, ip6) for at, flags in enumerate(("A", "F", "", "FPU", "SA", "R", "SF", "SR"))]


def fragment(offset, more, content, protocol=17, identification=99):
    # IPv6: see tests/live_campaign.rs for why not IPv4.
    return link / ip6 / IPv6ExtHdrFragment(offset=offset // 8, m=int(more), id=identification, nh=protocol) / Raw(content)


def first():
    return bytes(UDP(sport=25000, dport=udp_port, len=64))[:8] + bytes(24)


def flood():
    # The checksum falls by one as the port grows by one.
    start = bytes(link / ip / TCP(sport=1, dport=tcp_port, flags="S"))
    ports, sums = slice(34, 36), slice(50, 52)
    checksum = int.from_bytes(start[sums], "big")
    frames = []
    for port in range(1, 20001):
        frame = bytearray(start)
        frame[ports] = port.to_bytes(2, "big")
        frame[sums] = ((checksum - port + 1) % 0xFFFF).to_bytes(2, "big")
        frames.append(frame)
    return frames


def quote(port):
    return bytes(IP(src=peer, dst=own) / TCP(sport=port, dport=40000))[:28]


ATTACKS = {
    "segments without state": stateless,
    "ports beside": lambda: [link / ip / TCP(sport=25000, dport=port, flags="S") for port in (tcp_port - 1, tcp_port + 1)],
    "server opens": lambda: [link / ip / TCP(sport=tcp_port, dport=port, flags="S") for port in (80, 445, 40000)],
    "unasked answer": lambda: [link / ip / UDP(sport=udp_port, dport=port) / b"x" for port in (40000, 53)],
    "tiny fragment": lambda: [fragment(0, True, bytes(8), 6)],
    "fragment below TCP's flags": lambda: [fragment(8, True, bytes(16), 6)],
    "fragments without first": lambda: [fragment(64 + 8 * at, True, bytes(8), identification=7) for at in range(10)],
    "overlap": lambda: [fragment(0, True, first()), fragment(8, True, bytes(32)), fragment(32, False, bytes(32))],
    "other protocol": lambda: [fragment(0, True, first(), identification=5), fragment(32, False, bytes(16), 58, 5)],
    "fragment too long": lambda: [fragment(65528, False, bytes(16))],
    "fragment flood": lambda: [fragment(64, True, bytes(8), identification=at) for at in range(5000)],
    "forged ICMP error": lambda: [link / ip / ICMP(type=3, code=4) / Raw(quote(at)) for at in (tcp_port + 9, 22, 445)],
    "forged ICMPv6 error": lambda: [link / ip6 / ICMPv6DestUnreach() / Raw(bytes(IPv6(src=peer6, dst=own6) / TCP(sport=22)))],
    "VLAN hopping": lambda: [link / tags / ip / TCP(sport=25000, dport=tcp_port, flags="S")
                             for tags in (Dot1Q(vlan=10), Dot1Q(vlan=0) / Dot1Q(vlan=10), Dot1Q(vlan=1) / Dot1Q(vlan=10))],
    "reserved VLAN": lambda: [link / Dot1Q(vlan=4095) / ip / TCP(dport=tcp_port, flags="S")],
    "tunnels": lambda: [link / ip / GRE() / IP(src=own, dst=peer) / TCP(dport=tcp_port, flags="S"),
                        link / ip / UDP(sport=1, dport=4789) / VXLAN() / link / ip / TCP(dport=tcp_port, flags="S"),
                        link / ip / IP(src=own, dst=peer) / TCP(dport=tcp_port, flags="S")],
    "routing header 0": lambda: [link / ip6 / IPv6ExtHdrRouting(type=0, addresses=[peer6]) / TCP(dport=tcp_port, flags="S")],
    "long chain": lambda: [link / chain(9) / TCP(dport=tcp_port, flags="S")],
    "jumbogram": lambda: [link / IPv6(src=own6, dst=peer6, plen=0, nh=6) / Raw(bytes(20))],
    "UDP length": lambda: [link / ip / UDP(sport=25000, dport=udp_port, len=length) / b"12345678" for length in (0, 7, 400)],
    "SYN flood": flood,
    # Not an attack: what a router says, for SLAAC.
    "router": lambda: [Ether(src=own_mac, dst="33:33:00:00:00:01") / IPv6(src=link_local(), dst="ff02::1", hlim=255)
                       / ICMPv6ND_RA(routerlifetime=600)
                       / ICMPv6NDOptPrefixInfo(prefix="fd99::", prefixlen=64, L=1, A=1) / ICMPv6NDOptSrcLLAddr(lladdr=own_mac)],
}


def chain(headers):
    packet = ip6
    for _ in range(headers):
        packet = packet / IPv6ExtHdrDestOpt()
    return packet


def link_local():
    first, *rest = (int(part, 16) for part in own_mac.split(":"))
    numbers = [first ^ 2, *rest[:2], 0xFF, 0xFE, *rest[2:]]
    return "fe80::" + ":".join(f"{numbers[at]:02x}{numbers[at + 1]:02x}" for at in range(0, 8, 2))


with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
    sender.bind(("eth0", 0))
    for attack in sys.stdin:
        frames = [bytes(frame) for frame in ATTACKS[attack.strip()]()]
        for frame in frames:
            sender.send(frame)
        print(len(frames), flush=True)
