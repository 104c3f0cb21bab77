"""Run by tests: makes descriptors by calls that make them from nothing; prints some inodes."""

import contextlib
import ctypes
import os
import select
import socket

libc = ctypes.CDLL(None, use_errno=True)
kept = [
    socket.socket(),
    socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
    *socket.socketpair(),
    select.epoll(),
]
out, into = os.pipe()
kept_numbers = [os.memfd_create("denet-memory"), os.eventfd(0), os.pidfd_open(os.getpid())]
kept_numbers += [libc.timerfd_create(1, 0), libc.inotify_init1(0), libc.fanotify_init(0, 0)]
server = socket.socket(socket.AF_UNIX)
server.bind(b"\0denet-making")
server.listen()
client = socket.socket(socket.AF_UNIX)
client.connect(b"\0denet-making")
accepted, _ = server.accept()
with contextlib.suppress(OSError):
    socket.socket(99)
one, two = os.fstat(out).st_ino, [os.fstat(end.fileno()).st_ino for end in kept[2:4]]
print(one, *two)
