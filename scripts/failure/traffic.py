"""Streams of numbered UDP datagrams over veth pairs, and what of them arrives."""
import select
import socket
import struct
import threading
import time

ETH_P_ALL = 3
SO_RCVBUFFORCE = 33
PACE_S = 0.002
MAGIC = b"loadlock"


def mac(last):
    return bytes([2, 0, 0, 0, 0, last])


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


class Stream:
    """One conversation from side A to side B of a segment; `port` is the service's."""

    def __init__(self, segment, port):
        self.segment, self.port = segment, port
        self.client_port = 40000 + port % 100
        self.sent = 0
        self.arrived = {}
        self.running = False

    def frame(self, number, client_port=None):
        address = [socket.inet_aton(f"10.{self.segment + 1}.0.{host}") for host in (1, 2)]
        payload = MAGIC + struct.pack("!BHI", self.segment, self.port, number)
        udp = struct.pack("!HHHH", client_port or self.client_port, self.port, 8 + len(payload), 0) + payload
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + address[0] + address[1]
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        station = 16 * self.segment
        return mac(station + 2) + mac(station + 1) + b"\x08\x00" + head + udp

    def lost(self, since):
        """Of the numbers from `since` on that were sent: how many, and how many didn't arrive."""
        numbers = range(since, self.sent)
        return len(numbers), sum(number not in self.arrived for number in numbers)


class Traffic:
    """Sends on the far ends of side A's pairs and listens on those of side B's, each on a thread."""

    def __init__(self, senders, receivers):
        self.sockets = [self.bound(name) for name in senders]
        self.listening = [self.bound(name) for name in receivers]
        self.permitted = [Stream(segment, 5000) for segment in range(len(senders))]
        self.foreign = [Stream(segment, 6000) for segment in range(len(senders))]
        self.by_key = {(s.segment, s.port): s for s in self.permitted + self.foreign}
        self.new_conversations = False
        self.stop = False
        self.paused = threading.Event()
        self.quiet = threading.Event()
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.send, self.listen)]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def bound(interface):
        packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        packet.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        packet.bind((interface, 0))
        return packet

    def send(self):
        due = time.monotonic()
        while not self.stop:
            if self.paused.is_set():
                self.quiet.set()
                time.sleep(PACE_S)
                due = time.monotonic()
                continue
            self.quiet.clear()
            for stream in self.by_key.values():
                # A number of its own for each datagram, and while asked for a conversation of its own too.
                port = 41000 + stream.sent % 20000 if self.new_conversations else None
                self.transmit(stream, port)
            due += PACE_S
            time.sleep(max(0, due - time.monotonic()))

    def transmit(self, stream, client_port=None):
        try:
            self.sockets[stream.segment].send(stream.frame(stream.sent, client_port))
        except OSError:
            # The link is down: it is lost on its way, like any other.
            pass
        stream.sent += 1

    def listen(self):
        while not self.stop:
            ready, _, _ = select.select(self.listening, [], [], 0.1)
            for packet in ready:
                try:
                    frame, address = packet.recvfrom(256)
                except OSError:
                    continue
                # 4: what this host sends itself.
                if address[2] != 4 and frame[42:50] == MAGIC:
                    segment, port, number = struct.unpack("!BHI", frame[50:57])
                    self.by_key[segment, port].arrived[number] = time.monotonic()

    def start(self):
        self.paused.clear()

    def pause(self):
        """Returns when what was sent has arrived, or nothing has for 300 ms."""
        self.paused.set()
        self.quiet.wait()
        count = lambda: sum(len(stream.arrived) for stream in self.by_key.values())
        seen, since = count(), time.monotonic()
        while time.monotonic() - since < 0.3:
            time.sleep(0.01)
            if count() != seen:
                seen, since = count(), time.monotonic()

    def mark(self):
        return {key: stream.sent for key, stream in self.by_key.items()}

    def first_arrival(self, stream, after):
        """When the stream's first datagram arrived after a moment; None: none has."""
        times = [when for when in list(stream.arrived.values()) if when > after]
        return min(times, default=None)

    def close(self):
        self.stop = True
        for thread in self.threads:
            thread.join()
