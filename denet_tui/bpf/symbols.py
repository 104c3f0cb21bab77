"""Fewer symbols of the kernel for bcc, which reads all of them at each compile: that takes a quarter of it.

It looks there whether the kernel has bpf_probe_read_kernel and bpf_probe_read_user, as every Linux since 5.5 has.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_FEW = Path(__file__).parent / "include" / "kallsyms"
_CLONE_NEWNS = 0x20000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_libc = ctypes.CDLL(None, use_errno=True)


def leave_few() -> None:
    """Have /proc/kallsyms hold these alone, for this process, in a mount namespace of its own.

    Where that may not be (it takes CAP_SYS_ADMIN, and a root folder that is a mount), all of them stay.
    """
    alone = _libc.unshare(_CLONE_NEWNS) == 0 and _libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None) == 0
    if alone:  # else it would be seen outside, too
        _libc.mount(os.fsencode(_FEW), b"/proc/kallsyms", None, _MS_BIND, None)
