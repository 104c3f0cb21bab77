"""The proof: the program itself, loaded and attached by the kernel, and a known burst of calls counted with it."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from denet_tui.bpf.burst import CALLS
from denet_tui.bpf.causes import NO_READING
from denet_tui.bpf.handover import METHODS
from denet_tui.bpf.loader import MAPS
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracepoints import EVENTS
from denet_tui.bpf.tracer import ABIS
from denet_tui.checks.host import Host
from denet_tui.checks.model import BOTH, AttachMethod, Check, Evidence, Finding, State
from denet_tui.checks.shared import Shared
from denet_tui.checks.toolchain import BPF_FOLDER, reinstall_ourselves
from denet_tui.syscalls import NUMBERS, how_ended

SECONDS = 60.0
_ENTRY = "int on_sys_enter("
_HASH, _PERCPU_ARRAY = 1, 6
EXPECTED = {
    "syscall_counts": (_PERCPU_ARRAY, 4, 8, 2 * ABIS * NUMBERS),
    "pid_syscall_map": (_HASH, 8, 240, Request().sizes["ROWS"]),
}
"""Type, bytes of a key and of a value, entries: as bpf/kernel/maps.c has them."""

LAYERS = {
    "service": "asking the loader's service",
    "event": "reading the event's number in tracefs",
    "map": "creating a map",
    "program": "loading a program that does nothing",
    "attach": "attaching it",
    "load": "compiling, loading and attaching the real program",
    "count": "counting a known burst",
}
_POINTERS = {
    ("service", None): "PRIV-005 looks at the loader's service",
    ("event", None): "FS-001 and FS-002 say what is wrong with tracefs",
    (
        "map",
        errno.EPERM,
    ): "no CAP_BPF, or a seccomp filter or security module in the way: PRIV-001 to PRIV-004 say which",
    ("map", errno.ENOSYS): "bpf(2) is not there: PRIV-004 and KERN-002 say whether a filter or the kernel is why",
    ("program", errno.EPERM): "maps are allowed and programs are not: CAP_PERFMON is missing (PRIV-001)",
    ("program", errno.EACCES): "the verifier refused: that is a mistake in denet-tui; please report it",
    ("attach", errno.EPERM): "perf_event_open is refused by a seccomp filter (PRIV-004)",
    ("attach", errno.EACCES): "perf_event_paranoid (KERN-006) or a missing CAP_PERFMON (PRIV-001)",
    ("load", None): "the text tells at which stage; BCC-001 to BCC-003, KERN-008 and KERN-009 look at what it needs",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of an attach method: errno 0 is good, -1 a failure without one."""

    name: str
    number: int
    text: str = ""
    output: str = ""


@dataclass(slots=True)
class Proof:
    """All that was seen of one attach method."""

    method: AttachMethod
    layers: list[Layer] = field(default_factory=list)
    programs: dict[str, int] = field(default_factory=dict)
    maps: dict[str, tuple[int, ...]] = field(default_factory=dict)
    counted: str = ""
    exact: bool = False
    ended: str = ""
    """How the prober ended, where that was before its time."""

    @property
    def failed(self) -> Layer | None:
        """The layer where it stopped."""
        return next((layer for layer in self.layers if layer.number), None)


def _look(host: Host) -> dict[AttachMethod, Proof]:
    done = host.run([sys.executable, "-IB", "-m", "denet_tui.bpf.prober", "methods"], seconds=SECONDS)
    return parse(done.stdout, done.status, done.stderr)


def parse(text: str, status: int, errors: str) -> dict[AttachMethod, Proof]:
    """What prober.methods printed, whatever it is; lines that make no sense are left out."""
    proofs = {method: Proof(method) for method in BOTH}
    for line in text.splitlines():
        try:
            said = json.loads(line)
            proof = proofs[said["method"]]
            _take(proof, said)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    if status:
        last = (errors.strip().splitlines() or [""])[-1]
        ended = how_ended(status) + f": {last}" * (status > 0)
        for proof in proofs.values():
            proof.ended = "" if proof.exact or proof.failed else ended
    return proofs


def _take(proof: Proof, said: dict[str, Any]) -> None:
    if "layer" in said:
        proof.layers.append(
            Layer(str(said["layer"]), int(said["errno"]), str(said.get("text", "")), str(said.get("output", "")))
        )
    elif "programs" in said:
        proof.programs = {str(name): int(count) for name, count in said["programs"].items()}
        proof.maps = {str(name): tuple(map(int, shape)) for name, shape in said["maps"].items()}
    elif "made" in said:
        loss = f"; {said['loss']}" if said["loss"] else ""
        proof.counted = f"{int(said['made']):,} calls made, {int(said['counted']):,} counted{loss}"
        proof.exact = said["exact"] is True


_shared = Shared(_look)


def check_program(host: Host) -> Finding:
    """PROG-001: the program compiles for both attach methods, the kernel takes it, and its maps are right."""
    why = f"This is what denet-tui loads: {len(EVENTS)} small programs that only count, and the maps they count in."
    proofs = _shared.look(host, "PROG-001")
    source, missing = _source(host)
    seen = (source, *chain.from_iterable(map(_seen_of_program, proofs.values())))
    wrong = [f"tracepoints.c: {each}" for each in missing]
    wrong += [f"{proof.method}: {text}" for proof in proofs.values() for text in _wrong(proof)]
    refused = tuple(method for method in BOTH if _is_our_mistake(proofs[method]))
    if wrong or refused:
        title = wrong[0] if wrong else f"the kernel or the compiler rejects the program ({', '.join(refused)})"
        fix = reinstall_ourselves("PROG-001", "if that does not help, report it with `denet-tui diag --report FILE`")
        return Finding("PROG-001", State.FAIL, f"{title}: please report this", seen, why, refused or BOTH, (fix,))
    loaded = [proof for proof in proofs.values() if proof.programs]
    if not loaded:
        return Finding("PROG-001", State.UNKNOWN, _not_loaded(host), seen, why)
    return Finding("PROG-001", State.PASS, f"the program loads by {_loads(loaded)}", seen, why, BOTH)


def _loads(loaded: list[Proof]) -> str:
    most = max(count for proof in loaded for count in proof.programs.values())
    verified = f"; up to {most:,} instructions verified in one" if most else ""
    return " and ".join(METHODS[proof.method] for proof in loaded) + verified


def _source(host: Host) -> tuple[Evidence, list[str]]:
    """Both attach methods are in the source, whichever this machine lets one try, and what of them is missing."""
    path = f"{BPF_FOLDER}/kernel/tracepoints.c"
    try:
        text = host.read(path)
    except OSError as error:
        return Evidence(path, str(error.strerror)), []  # BCC-003 fails then
    raw, _, tracefs = text.rpartition("#ifdef ATTACH_RAW")[2].partition("#else")
    missing = [
        f"no {method} program for sys_enter"
        for method, part in (("raw", raw), ("tracefs", tracefs))
        if _ENTRY not in part
    ]
    missing += [f"no program for {event}" for event in EVENTS if f"int on_{event}(" not in text]
    return Evidence(path, "; ".join(missing) or f"both attach methods, {len(EVENTS)} events"), missing


def _not_loaded(host: Host) -> str:
    who = "needs root" if host.uid else "nothing can be loaded here"
    return f"the program could not be tried: {who} (E2E-001 says where it stops)"


def _seen_of_program(proof: Proof) -> list[Evidence]:
    if not proof.programs:
        layer = proof.failed
        text = f"not tried: {LAYERS.get(layer.name, layer.name)}: {layer.text}" if layer else proof.ended
        log = [Evidence(f"{proof.method}: output", layer.output[-4000:])] if layer and layer.output.strip() else []
        return [Evidence(f"{proof.method}: program", text or "no answer"), *log]
    counts = ", ".join(f"{name} {count:,}" if count else name for name, count in proof.programs.items())
    shapes = [
        Evidence(f"{proof.method}: map {name}", "type {}, key {} B, value {} B, {} entries".format(*proof.maps[name]))
        for name in EXPECTED
        if len(proof.maps.get(name, ())) == 4
    ]
    return [Evidence(f"{proof.method}: verified instructions", counts), *shapes]


def _wrong(proof: Proof) -> list[str]:
    """What a loaded program lacks; nothing where it is not loaded."""
    if not proof.programs:
        return []
    found = [f"no program for {event}" for event in EVENTS if event not in proof.programs]
    found += [f"no map {name}" for name in MAPS if name not in proof.maps]
    for name, shape in EXPECTED.items():
        if proof.maps.get(name, shape) != shape:
            found.append(f"map {name} is {proof.maps[name]}, not {shape}")
    return found


_REJECTED = re.compile(r"^(?!could not open bpf map).*error:|processed \d", re.MULTILINE)
"""A compiler's words, or the verifier's; libbcc says `error:` also where it is refused a map."""


def _is_our_mistake(proof: Proof) -> bool:
    """A compiler's error, or a verifier's, where the simple layers were good: EACCES, EINVAL or E2BIG of the load."""
    layer = proof.failed
    if layer is None or layer.name != "load" or re.search(NO_READING, layer.output):
        return False  # a kernel that is locked down (KERN-008) keeps that one from all programs
    if layer.number in (errno.EMFILE, errno.ENFILE) or os.strerror(errno.EMFILE) in layer.output:
        return False  # LIM-001
    rejected = layer.number in (errno.EACCES, errno.EINVAL, errno.E2BIG)
    return rejected or bool(_REJECTED.search(layer.output))


def check_counting(host: Host) -> Finding:
    """E2E-001: the final word: each attach method is tried layer by layer, up to counting 1,000 known calls exactly."""
    why = (
        "Whatever all the other checks say: this is the real thing, done once. The program is loaded as for watching, "
        f"a child of denet-tui makes {CALLS:,} read(2) calls, and what the kernel has counted is compared with that."
    )
    proofs = _shared.look(host, "E2E-001")
    evidence = tuple(chain.from_iterable(map(_layers_seen, proofs.values())))
    good = tuple(method for method in BOTH if proofs[method].exact)
    bad = tuple(proofs[method] for method in BOTH if method not in good)
    if good:
        # Without privilege the service is asked for one method only.
        stops = tuple(proof for proof in bad if proof.layers or proof.ended)
        by = f"by {METHODS[good[0]]}" if bad else "by both attach methods"
        title = f"{CALLS:,} known calls were made, and {CALLS:,} counted, {by}"
        title += ", through the loader's service" * (len(stops) < len(bad))
        title += "".join(
            f"; {METHODS[each.method]}, which are not needed, {_stop(each).partition(' (')[0]}" for each in stops
        )
        evidence = tuple(sorted(evidence, key=lambda each: "counted" not in each.value))  # what the title claims first
        stopped = tuple(each.method for each in stops if not _was_slow(each))
        return Finding("E2E-001", State.PASS, title, evidence, why, good, stops=stopped)
    title = "; ".join(f"{METHODS[proof.method]} {_stop(proof)}" for proof in bad)
    if any(map(_was_slow, bad)):  # which proves nothing, and the other one may not be needed
        title += ": this machine was too busy to tell; look again"
        return Finding("E2E-001", State.UNKNOWN, title, evidence, why, BOTH)
    return Finding("E2E-001", State.FAIL, title, evidence, why, BOTH)


def _was_slow(proof: Proof) -> bool:
    return proof.failed is not None and "did not answer within" in proof.failed.text


def _layers_seen(proof: Proof) -> list[Evidence]:
    found = []
    for layer in proof.layers:
        value = proof.counted if layer.name == "count" and proof.counted else "done"
        if layer.number:
            value = f"{_errno(layer.number)}{layer.text}".strip()
            pointer = _POINTERS.get((layer.name, layer.number)) or _POINTERS.get((layer.name, None))
            value += f" ({pointer})" if pointer else ""
        found.append(Evidence(f"{proof.method}: {LAYERS.get(layer.name, layer.name)}", value))
    if proof.ended or not proof.layers:
        found.append(Evidence(f"{proof.method}: the probe", proof.ended or "not tried"))
    return found


def _errno(number: int) -> str:
    return f"{errno.errorcode.get(number, f'errno {number}')}: " if number > 0 else ""


def _stop(proof: Proof) -> str:
    """At which layer it stopped, in a few words."""
    layer = proof.failed
    if layer is None:
        if proof.counted:
            return f"do not count exactly ({proof.counted})"
        after = f" after {LAYERS.get(proof.layers[-1].name, '')}" if proof.layers else ""
        return f"stop{after}: {proof.ended or 'no answer'}"
    said = os.strerror(layer.number) if layer.number > 0 else layer.text
    return f"stop at {LAYERS.get(layer.name, layer.name)} ({said})"


CHECKS = (
    Check("PROG-001", "proof", "the program itself", check_program, after=("E2E-001",), waits=True, first=False),
    Check("E2E-001", "proof", "a known burst, counted", check_counting, waits=True, first=False),
)
