"""What a process of ours can no longer do once it holds descriptors; and what may be asked of the loader."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denet_tui.bpf import maps, programs
from denet_tui.bpf.confine import confine
from denet_tui.bpf.request import LARGEST_SCALE, SIZES, Request, scale_for
from tests.helper.helped import in_child
from tests.real import run


def refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except OSError as error:
        return error.errno == errno.EPERM
    return False


@pytest.mark.root
def test_of_bpf_only_reading_and_updating_maps_is_left_to_all_threads() -> None:
    def body() -> None:
        table = maps.Map(programs.create_map())
        program = programs.load_program(programs.RAW_TRACEPOINT)
        ready, done, found = threading.Event(), threading.Event(), []

        def other() -> None:
            ready.wait()
            found.append(refused(programs.create_map))
            done.set()

        threading.Thread(target=other).start()
        confine()
        ready.set()
        done.wait(10)
        assert found == [True], "a thread that was there before"
        assert refused(lambda: programs.load_program(programs.RAW_TRACEPOINT))
        assert refused(lambda: maps.raw_tracepoint_open("sys_enter", program))
        assert refused(lambda: next(programs.ids()))
        assert refused(lambda: maps.system_call("perf_event_open", 0, 0, 0, 0, 0))
        for command in set(range(40)) - {1, 2, 3, 4, 15, 24, 27}:
            assert refused(lambda command=command: maps.bpf(command, bytes(64))), command  # type: ignore[misc]
        table.update(bytes(4), struct.pack("<Q", 7))
        assert table.lookup(bytes(4)) == struct.pack("<Q", 7)
        assert [values for _, values in table.read()] == [struct.pack("<Q", 7)]
        status = Path("/proc/self/status").read_text()
        assert "NoNewPrivs:\t1" in status
        assert "Seccomp:\t2" in status

    in_child(body)


def test_a_confined_process_cannot_be_made_open_to_others_again() -> None:
    def body() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        confine()
        for flag in (1, 2, 1 << 32 | 1):
            assert libc.prctl(4, ctypes.c_ulong(flag), 0, 0, 0) == -1
            assert ctypes.get_errno() == errno.EPERM
        assert libc.prctl(4, ctypes.c_ulong(0), 0, 0, 0) == 0
        assert libc.prctl(3, 0, 0, 0, 0) == 0, "PR_GET_DUMPABLE"
        assert libc.prctl(15, b"a name", 0, 0, 0) == 0, "PR_SET_NAME"

    in_child(body)


@pytest.mark.root
@pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86_64 has these doors")
def test_the_doors_of_foreign_abis_are_closed() -> None:
    def body() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        confine()
        assert libc.syscall(ctypes.c_long(0x40000000 | 39)) == -1
        assert ctypes.get_errno() == errno.EPERM, "x32's getpid"
        assert libc.syscall(ctypes.c_long(0x40000000 | 321), 5, 0, 0) == -1
        assert ctypes.get_errno() == errno.EPERM, "x32's bpf"
        assert os.getpid() > 0

    in_child(body)


@pytest.mark.root
def test_a_run_that_the_kernel_skipped_is_counted_as_missed() -> None:
    done = run([sys.executable, "-m", "tests.bpf.skipped"])
    assert (done.returncode, done.stdout) == (0, "1 1\n"), done.stderr


@given(st.sampled_from(["auto", "raw", "tracefs"]), st.integers(0, LARGEST_SCALE), st.booleans(), st.data())
def test_a_request_arrives_as_it_was_sent(method: str, scale: int, wanted: bool, data: st.DataObject) -> None:
    rows = data.draw(st.none() | st.integers(1, SIZES["ROWS"] << scale))
    request = Request(method, scale, rows, wanted)
    assert Request.of_line(request.line()) == request
    assert request.sizes["SLOTS"].bit_count() == 1


@given(st.binary(max_size=200) | st.from_regex(rb'\{"(method|scale|rows|only_wanted)": ?[^}]*\}'))
def test_what_is_in_none_of_the_sets_is_no_request(line: bytes) -> None:
    try:
        request = Request.of_line(line)
    except ValueError:
        return
    assert request.method in ("auto", "raw", "tracefs")
    assert 0 <= request.scale <= LARGEST_SCALE
    assert all(1 <= number <= SIZES[name] << LARGEST_SCALE for name, number in request.sizes.items())


@given(st.integers(0, 10_000_000))
def test_the_scale_is_the_smallest_that_will_do(rows: int) -> None:
    scale = scale_for({"ROWS": rows})
    assert scale == LARGEST_SCALE or SIZES["ROWS"] << scale >= rows
    assert scale == 0 or SIZES["ROWS"] << (scale - 1) < rows
