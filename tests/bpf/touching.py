"""Run by tests: calls on files, pipes and sockets by all the ways that a descriptor can come to a process.

`python -S touching.py FOLDER`, as root where it may mount: every call is of a size of its own.
"""

# The calls themselves are what this is for:
# ruff: noqa: PTH102, PTH103, PTH104, PTH108, PTH116, PTH123

import array
import contextlib
import ctypes
import os
import socket
import sys

libc = ctypes.CDLL(None, use_errno=True)
folder = sys.argv[1]
os.chdir(folder)


def descriptors() -> None:
    """By dup, dup2, inheritance and a unix socket; with O_APPEND; past a rename, an unlink, two links."""
    one = os.open("one", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(one, b"a" * 11)
    two = os.dup(one)
    os.write(two, b"b" * 12)
    os.dup2(one, 100)
    os.write(100, b"c" * 13)
    os.rename("one", "renamed")
    os.write(one, b"d" * 14)
    os.link("renamed", "second")
    with open("second", "rb", 0) as second:
        second.read(15)
    if not os.fork():
        os.pread(one, 16, 0)
        os._exit(0)
    os.wait()
    ours, theirs = socket.socketpair()
    if not os.fork():
        (fd,) = array.array("i", theirs.recvmsg(1, 4 * 8)[1][0][2][:4])
        os.write(fd, b"e" * 17)
        os._exit(0)
    ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [one]))])
    os.wait()
    gone = os.open("gone", os.O_RDWR | os.O_CREAT, 0o600)
    os.unlink("gone")
    os.write(gone, b"f" * 18)
    os.close(gone)
    again = os.open("gone", os.O_RDWR | os.O_CREAT, 0o600)  # the same inode number, on some file systems
    os.write(again, b"g" * 19)
    os.writev(again, [b"h" * 20, b"i"])
    with contextlib.suppress(OSError):
        os.write(os.open("renamed", os.O_RDONLY), b"no")


def copies() -> None:
    """Between descriptors."""
    source, target = os.open("renamed", os.O_RDONLY), os.open("copy", os.O_RDWR | os.O_CREAT, 0o600)
    os.sendfile(target, source, 0, 21)
    out, into = os.pipe()
    os.splice(source, into, 22, offset_src=0)
    os.read(out, 100)
    os.copy_file_range(source, target, 23, 0)
    with contextlib.suppress(OSError):
        os.read(55, 1)


def peers() -> None:
    """Unix (a name, an abstract one), TCP over both families, UDP."""
    for address in ("sock", b"\0denet-touching"):
        server = socket.socket(socket.AF_UNIX)
        server.bind(address)
        server.listen()
        client = socket.socket(socket.AF_UNIX)
        client.connect(address)
        accepted, _ = server.accept()
        client.send(b"j" * 24)
        accepted.recv(100)
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        server = socket.socket(family)
        server.bind((address, 0))
        server.listen()
        client = socket.socket(family)
        client.connect(server.getsockname()[:2])
        accepted, _ = server.accept()
        client.send(b"k" * 25)
        accepted.recv(100)
        datagram = socket.socket(family, socket.SOCK_DGRAM)
        datagram.bind((address, 0))
        datagram.sendto(b"l" * 26, datagram.getsockname())
        datagram.recv(100)
        other = socket.socket(family, socket.SOCK_DGRAM)
        other.bind(("", 0))
        other.sendmsg([b"s" * 35], [], 0, datagram.getsockname())
        datagram.sendto(b"t" * 36, datagram.recvfrom(100)[1])
        other.recvmsg(100)
        with contextlib.suppress(OSError):
            other.sendto(b"u" * 37, 0, (address, 0))
    one, two = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    one.bind(b"\0denet-one")
    two.sendto(b"v" * 38, b"\0denet-one")
    one.recvfrom(100)
    for refused in ("/nowhere/sock", b"\0denet-nobody"):
        with contextlib.suppress(OSError):
            socket.socket(socket.AF_UNIX).connect(refused)


def paths() -> None:
    """That fail: absolute, relative, below a descriptor, strange, too long, none."""
    for path in ("/nowhere/a", "nowhere/b", "", "esc\x1b[31m", b"inv\xff\xfelid", "new\nline", "x" * 255, "y/" * 2040):
        with contextlib.suppress(OSError):
            os.stat(path)
    with contextlib.suppress(OSError):
        os.open("nowhere/c", os.O_RDONLY)
    here = os.open("/etc", os.O_RDONLY)
    for name in ("missing", "../missing"):
        with contextlib.suppress(OSError):
            os.open(name, os.O_RDONLY, dir_fd=here)
    libc.open(ctypes.c_void_p(8), 0)
    for ways in (("nowhere/d", "e"), ("/etc/passwd", "nowhere/f"), ("renamed", "second"), ("x" * 150, "/y" * 70)):
        for call in (os.rename, os.link):
            with contextlib.suppress(OSError):
                call(*ways)
    with contextlib.suppress(OSError):
        os.link("missing", "here", src_dir_fd=here, dst_dir_fd=os.open(".", os.O_PATH))
    with contextlib.suppress(OSError):
        os.symlink("nowhere", "second")  # noqa: PTH211
    libc.rename(ctypes.c_void_p(8), b"g")
    with contextlib.suppress(OSError):
        os.execv("/nowhere/program", ["x"])
    os.mkdir("esc\x1b]0;x\x07")
    with open("esc\x1b]0;x\x07/\xe9\n", "wb", 0) as hostile:
        hostile.write(b"m" * 27)


def mounts() -> None:
    """A bind mount, an overlay where there can be one, and a chroot."""
    if libc.unshare(0x20000) or libc.mount(b"none", b"/", None, 1 << 14 | 1 << 18, None):
        return
    os.makedirs("bound/below")
    os.makedirs("real")
    libc.mount(b"real", b"bound/below", None, 1 << 12, None)
    with open("bound/below/file", "wb", 0) as file:
        file.write(b"n" * 28)
    with open("real/file", "rb", 0) as file:
        file.read(29)
    for name in ("low", "up", "between", "merged"):
        os.mkdir(name)
    with open("low/file", "wb", 0) as file:
        file.write(b"o" * 31)
    if not libc.mount(b"overlay", b"merged", b"overlay", 0, b"lowerdir=low,upperdir=up,workdir=between"):
        with open("merged/file", "rb", 0) as file:
            file.read(32)
        with open("merged/file", "ab", 0) as file:
            file.write(b"p" * 33)
    os.chroot("bound")
    with open("/below/file", "rb", 0) as file:
        file.read(30)
    with contextlib.suppress(OSError):
        os.stat("/below/nothing")


descriptors()
copies()
peers()
paths()
mounts()
