"""A file whose fsync takes some ms longer, really: mounted by FUSE over an empty one, kept in another file.

python slowfs.py MOUNTED KEPT MS, as root in a mount namespace; serves until it is unmounted.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import time

GETATTR, OPEN, READ, WRITE, RELEASE, FSYNC, FLUSH, INIT, SETATTR = 3, 14, 15, 16, 18, 20, 25, 26, 4
FORGET, INTERRUPT, DESTROY = 2, 36, 38
mounted, kept, delay = sys.argv[1], sys.argv[2], float(sys.argv[3]) / 1e3
fuse = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fuse},rootmode=100644,user_id=0,group_id=0,allow_other".encode()
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"slow", mounted.encode(), b"fuse", 0, options):
    sys.exit(os.strerror(ctypes.get_errno()))
file = os.open(kept, os.O_RDWR | os.O_CREAT, 0o644)


def attr() -> bytes:
    st = os.fstat(file)
    return struct.pack("<QII", 3600, 0, 0) + struct.pack(
        "<6Q10I", 1, st.st_size, 8, 0, 0, 0, 0, 0, 0, 0o100644, 1, 0, 0, 0, 4096, 0
    )


while True:
    try:
        request = os.read(fuse, 1 << 20)
    except OSError:
        break
    size, op, unique = struct.unpack_from("<IIQ", request)
    body, answer, error = request[40:size], b"", 0
    if op == INIT:
        answer = struct.pack("<4IHHII", 7, 31, 0, 0, 1, 1, 1 << 17, 1) + bytes(32)
    elif op in (GETATTR, SETATTR):
        answer = attr()
    elif op == OPEN:
        answer = struct.pack("<QII", 0, 1, 0)
    elif op == WRITE:
        _, offset, count = struct.unpack_from("<QQI", body)
        answer = struct.pack("<II", os.pwrite(file, body[40 : 40 + count], offset), 0)
    elif op == FSYNC:
        os.fsync(file)
        time.sleep(delay)
    elif op in (FORGET, INTERRUPT, DESTROY):
        continue
    elif op not in (RELEASE, FLUSH):
        error = -38
    os.write(fuse, struct.pack("<IiQ", 16 + len(answer), error, unique) + answer)
