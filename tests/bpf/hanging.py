"""Run by tests: threads that hang in calls on files and peers.

`python -S hanging.py FOLDER` prints a line once all do.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

folder = sys.argv[1]


def full(family: int, address: object) -> socket.socket:
    """A server that takes no more connections: connecting to it waits."""
    server = socket.socket(family)
    server.bind(address)
    server.listen(0)
    for _ in range(3):
        client = socket.socket(family)
        client.setblocking(False)
        client.connect_ex(server.getsockname())
        kept.append(client)
    return server


kept: list[socket.socket] = []
inet = full(socket.AF_INET, ("127.0.0.1", 0))
unix = full(socket.AF_UNIX, b"\0denet-full-%d" % os.getpid())
receiving = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiving.bind(("127.0.0.1", 0))
datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
datagrams.bind(b"\0denet-datagrams-%d" % os.getpid())
sending = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)


def send() -> None:
    """Until there is no room."""
    while True:
        sending.sendto(bytes(100), b"\0denet-datagrams-%d" % os.getpid())


def send_message() -> None:
    """The same, with the address in a struct msghdr."""
    other = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    while True:
        other.sendmsg([bytes(100)], [], 0, b"\0denet-datagrams-%d" % os.getpid())


os.mkfifo(f"{folder}/fifo")
out, _ = os.pipe()
ways: tuple[Callable[[], object], ...] = (
    lambda: socket.socket().connect(inet.getsockname()),
    lambda: socket.socket(socket.AF_UNIX).connect(b"\0denet-full-%d" % os.getpid()),
    lambda: receiving.recvfrom(1),
    lambda: os.read(out, 1),
    lambda: os.open(f"{folder}/fifo", os.O_RDONLY),
    send,
    send_message,
)
for way in ways:
    threading.Thread(target=way, daemon=True).start()


def hang() -> bool:
    """Whether all are blocked, in the calls that they are to be in."""
    tids = [each.native_id for each in threading.enumerate() if each is not threading.main_thread()]
    calls = [Path(f"/proc/self/task/{tid}/syscall").read_text().split()[0] for tid in tids]
    return len(calls) == len(ways) and "running" not in calls


while not hang():
    time.sleep(0.01)
print(inet.getsockname()[1], receiving.getsockname()[1], os.fstat(out).st_ino, flush=True)
sys.stdin.read()
os._exit(0)
