"""Three segments with one dataplane and one control, and ways to harm them."""
import contextlib
import ctypes
import json
import mmap
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile
import time

from traffic import Traffic

SEGMENTS = ["static", "open", "closed"]
FLOWS = 2048
RING_EVENTS = 1024
PATIENCE_S = 30
# A worker that shares its core with other work may be silent for longer than on a core of its own.
DATAPLANE = ["control_silence_s = 1", "watchdog_ms = 5000"]
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000


def wait_until(what, is_so, patience_s=PATIENCE_S):
    end = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > end:
            raise SystemExit(f"scripts/failures: after {patience_s} s still waiting until {what}")
        time.sleep(0.005)


class Line:
    """Everything; leaves nothing behind."""

    def __init__(self, binaries):
        self.binaries = binaries
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="loadlock-failures-"))
        self.prefix = f"loadlock-failures-{os.getpid()}"
        self.shared = pathlib.Path("/dev/shm") / self.prefix
        self.exchange = self.shared / "exchange"
        self.children = {}
        self.device = "net_af_packet", "p"

    def __enter__(self):
        for segment in range(len(SEGMENTS)):
            for side in "ab":
                port, host = f"p{side}{segment}", f"h{side}{segment}"
                self.ip(f"link add {port} type veth peer name {host}")
                for name in (port, host):
                    pathlib.Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
                    self.ip(f"link set {name} promisc on arp off up")
        number = range(len(SEGMENTS))
        self.traffic = Traffic([f"ha{n}" for n in number], [f"hb{n}" for n in number])
        self.traffic.paused.set()
        (self.folder / "policy.toml").write_text(self.policy())
        self.configure()
        return self

    def __exit__(self, kind, *_):
        if kind:
            for name in ("dataplane", "control", "run"):
                if (self.folder / f"{name}.log").exists():
                    print(f"-- the end of {name}.log", *self.log(name).splitlines()[-15:], sep="\n")
        self.traffic.close()
        self.stop_all()
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.shared, ignore_errors=True)
        shutil.rmtree(pathlib.Path("/var/run/dpdk") / self.prefix, ignore_errors=True)

    @staticmethod
    def ip(words):
        subprocess.run(["ip", *words.split()], check=True)

    def configure_taps(self):
        """Ports that are TAP interfaces of the kernel, ta0 and so on; the second segment's links follow each other."""
        self.device = "net_tap", "t"
        self.configure(static=['link_down = "static"'])

    @staticmethod
    def has_link(interface):
        done = subprocess.run(["ip", "-j", "link", "show", interface], capture_output=True, text=True)
        return done.returncode == 0 and "LOWER_UP" in json.loads(done.stdout)[0]["flags"]

    @contextlib.contextmanager
    def tap_traffic(self):
        """Traffic over the TAP interfaces, in place of that over the veth pairs."""
        number, pairs = range(len(SEGMENTS)), self.traffic
        for name in (f"t{side}{n}" for side in "ab" for n in number):
            pathlib.Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
            self.ip(f"link set {name} promisc on arp off up")
        self.traffic = Traffic([f"ta{n}" for n in number], [f"tb{n}" for n in number])
        self.traffic.paused.set()
        try:
            yield
        finally:
            self.traffic.close()
            self.traffic = pairs

    def configure(self, **keys):
        """Keys: lines for each segment's name, and for `dataplane`."""
        driver, prefix = self.device
        ports, segments = "", ""
        for number, name in enumerate(SEGMENTS):
            for side in "ab":
                ports += f'[[port]]\nname = "{name}-{side}"\ndevice = "{driver}"\noptions = {{ iface = "{prefix}{side}{number}" }}\n'
            segments += f'[[segment]]\nname = "{name}"\nside_a = "{name}-a"\nside_b = "{name}-b"\nmode = "enforce"\n'
            segments += "".join(f"{line}\n" for line in keys.get(name, []))
        (self.folder / "loadlock.toml").write_text(
            f"""[dataplane]
main_core = 0
worker_cores = [1]
file_prefix = "{self.prefix}"
hugepages = {str(keys.get("hugepages", False)).lower()}
mbufs = 16383
mbuf_cache = 128
policy_wait_ms = 2000
{chr(10).join(keys.get("dataplane", DATAPLANE))}
[exchange]
path = "{self.exchange}"
event_ring_events = {RING_EVENTS}
rule_capacity = 1024
[flows]
narrow_capacity = {keys.get("flows", FLOWS)}
wide_capacity = 1024
[control]
socket = "control.sock"
store = "loadlock.db"
{ports}{segments}"""
        )

    @staticmethod
    def policy():
        text = "format = 1\n"
        for number, name in enumerate(SEGMENTS):
            for host, side in (("client", "a"), ("server", "b")):
                last = 1 if host == "client" else 2
                text += f'[[device]]\nname = "{host}-{name}"\naddress = "10.{number + 1}.0.{last}"\nsegment = "{name}"\nside = "{side}"\n'
            text += f'[[permit]]\nfrom = "device:client-{name}"\nto = "device:server-{name}"\nservice = "udp/5000"\nreason = "test"\nowner = "test"\n'
        return text

    # Processes.

    def start(self, name, *words):
        log = open(self.folder / f"{name}.log", "a")
        program = "loadlock-dataplane" if name == "dataplane" else "loadlock"
        command = [self.binaries / program, *words, "--config", self.folder / "loadlock.toml"]
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.children[name] = child
        return child

    def start_control(self):
        self.start("control", "control")
        wait_until("control answers", lambda: self.status() is not None)

    def start_dataplane(self):
        self.start("dataplane")

    def start_run(self):
        self.start("run", "run")
        wait_until("both run", self.is_running)

    def kill(self, name):
        child = self.children.pop(name)
        child.kill()
        child.wait()

    def end(self, name):
        child = self.children.pop(name)
        child.terminate()
        child.wait()

    def stop_all(self):
        for child in self.children.values():
            child.send_signal(signal.SIGCONT)
            child.terminate()
        for child in self.children.values():
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        self.children = {}

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()

    def forget(self):
        """Stops everything; the next start is a first one, but for the policy in the store."""
        self.stop_all()
        shutil.rmtree(self.shared, ignore_errors=True)

    # Control.

    def loadlock(self, *words):
        command = [self.binaries / "loadlock", *words, "--socket", "control.sock", "-o", "json"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def status(self):
        return self.loadlock("status")

    def is_running(self):
        status = self.status()
        return bool(status) and status["control"]["state"] == "attached" and status["dataplane"]["state"] == "running"

    def dataplane_pid(self):
        return self.status()["dataplane"]["pid"]

    def install_policy(self):
        for words in (["propose", "policy.toml", "--reason", "test", "--ticket", "CHG-1"], ["approve"], ["apply"]):
            number = [] if words[0] == "propose" else [str(self.version)]
            answer = self.loadlock("policy", *words, *number)
            if answer is None:
                raise SystemExit(f"scripts/failures: policy {words[0]} was refused; see {self.folder}")
            self.version = answer.get("version", answer)["number"]

    # Harm.

    def damage_policy_at_rest(self):
        """Flips a byte behind the header of each policy slot."""
        with open(self.exchange, "r+b") as file, mmap.mmap(file.fileno(), 0) as region:
            at = region.find(b"LLPOLIC")
            while at >= 0:
                region[at + 8 * 9] ^= 0xFF
                at = region.find(b"LLPOLIC", at + 8)

    def publish_damaged_policy(self):
        """Puts the slot that isn't in force in force, with a header that contradicts itself."""
        with open(self.exchange, "r+b") as file, mmap.mmap(file.fileno(), 0) as region:
            (current,) = struct.unpack_from("<Q", region, 4096)
            slots = []
            at = region.find(b"LLPOLIC")
            while at >= 0:
                slots.append(at)
                at = region.find(b"LLPOLIC", at + 8)
            generation, slot = divmod(current, 2)
            other = 1 - slot
            # Shapes and entries.
            struct.pack_into("<Q", region, slots[other] + 8 * 6, 2**64 - 1)
            struct.pack_into("<Q", region, 4096, (generation + 1) * 2 + other)

    def hang_worker(self, pid):
        """Stops the worker's thread, and no other; returns its number, to be waited for: until then it can't end."""
        libc = ctypes.CDLL(None, use_errno=True)
        names = []
        for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
            names.append((thread / "comm").read_text().strip())
            # The first of DPDK's names for it is 22.11's.
            if names[-1].startswith(("rte-worker", "lcore-worker", "dpdk-worker")):
                number = int(thread.name)
                for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
                    if libc.ptrace(ctypes.c_long(request), ctypes.c_long(number), 0, 0) != 0:
                        raise OSError(ctypes.get_errno(), "ptrace")
                os.waitpid(number, WALL)
                return number
        raise SystemExit(f"scripts/failures: the dataplane has no worker thread among {', '.join(names)}")

    @staticmethod
    def let_go(thread):
        """Lets a worker's thread run on."""
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(ctypes.c_long(PTRACE_DETACH), ctypes.c_long(thread), 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")
