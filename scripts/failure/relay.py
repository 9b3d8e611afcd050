"""A relay beside the line, as a hardware bypass has: joins the two cables when told, or when it hears no heartbeat."""
import select
import socket
import threading
import time

from traffic import ETH_P_ALL, SO_RCVBUFFORCE

# Without a heartbeat for so long it joins the cables.
PATIENCE_S = 0.3

PROGRAM = """#!/bin/sh
exec echo "$@" >> {log}
"""


class Relay:
    """Between two interfaces, on a thread; its program is at `path`."""

    def __init__(self, folder, interfaces):
        self.path, self.log = folder / "relay", folder / "relay.log"
        self.log.touch()
        self.path.write_text(PROGRAM.format(log=self.log))
        self.path.chmod(0o755)
        self.said = []
        self.joined = True
        self.heard = time.monotonic()
        self.read = 0
        self.sockets = []
        for name in interfaces:
            packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            packet.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
            packet.bind((name, 0))
            self.sockets.append(packet)
        self.stop = False
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        other = dict(zip(self.sockets, reversed(self.sockets)))
        while not self.stop:
            self.listen_to_program()
            for packet in select.select(self.sockets, [], [], 0.002)[0]:
                frame, address = packet.recvfrom(2048)
                # 4: what leaves through the interface. While the cables are apart, nothing crosses.
                if self.joined and address[2] != 4:
                    other[packet].send(frame)

    def listen_to_program(self):
        lines = self.log.read_text().splitlines()
        for line in lines[self.read :]:
            word = line.split()[0]
            self.said.append(word)
            self.heard = time.monotonic()
            self.joined = word == "disarm" or (self.joined and word != "arm")
        self.read = len(lines)
        if time.monotonic() - self.heard > PATIENCE_S:
            self.joined = True

    def close(self):
        self.stop = True
        self.thread.join()
        for packet in self.sockets:
            packet.close()
