"""What --debug says of a good run: what was loaded and verified, this kernel, and what this process may do."""

from __future__ import annotations

import logging
from contextlib import suppress

from denet_tui.bpf.handover import METHODS, Kernel
from denet_tui.bpf.maps import Map
from denet_tui.system import debug

log = logging.getLogger("denet_tui")

_TYPES = {1: "hash", 2: "array", 5: "per-CPU hash", 6: "per-CPU array", 12: "array of maps", 13: "hash of maps"}
"""Of enum bpf_map_type (include/uapi/linux/bpf.h), those that the program has."""


def report(kernel: Kernel) -> None:
    """Log what was loaded, what libbcc said to it, and what it runs on."""
    log.info("loaded by %s, bcc %s, maps %s", METHODS[kernel.method], kernel.bcc, ", ".join(kernel.maps))
    if not debug.started():
        return
    if kernel.output:
        log.debug("what libbcc printed:\n%s", kernel.output)
    for event, walked in kernel.verified.items():
        log.debug("program on_%s: the verifier accepted it after %s instructions", event, walked or "some")
    for name, descriptor in kernel.maps.items():
        with suppress(OSError):
            table = Map(descriptor)
            kind = _TYPES.get(table.type, f"type {table.type}")
            shape = f"keys of {table.key_size} bytes, values of {table.value_size}"
            log.debug("map %s: %s, %s entries, %s", name, kind, f"{table.max_entries:,}", shape)
    _report_machine()


def _report_machine() -> None:
    from denet_tui.checks.host import Host
    from denet_tui.report import about

    host = Host()
    for values in (about.system(host), about.sysctls(host)):
        for name, value in values.items():
            log.debug("%s: %s", name, value)
    for line in about.config(host) or ["the kernel's configuration is not readable here"]:
        log.debug("kernel configuration: %s", line)
    held = ", ".join(f"{name} {value}" for name, value in about.capabilities(host).items())
    log.debug("permissions of this process, now that the program is loaded: uid %d, %s", host.uid, held)
