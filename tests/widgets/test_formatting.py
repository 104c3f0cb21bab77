"""Numbers and ends in words, within their widths."""

import os
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from denet_tui.system.visible import visible
from denet_tui.widgets import formatting


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0ns"), (999, "999ns"), (999.6, "1.0µs"), (1_234, "1.2µs"), (9_960, "10µs"), (123_456, "123µs"),
     (999_600, "1.0ms"), (2_500_000_000, "2.5s"), (90e9, "90s"), (20 * 60e9, "20m"), (9000e9, "2.5h"), (1e15, "278h")],
)  # fmt: skip
def test_duration(ns: float, text: str) -> None:
    assert formatting.duration(ns) == text


@given(st.floats(0, 3.5e15))
def test_duration_keeps_its_width(ns: float) -> None:
    assert len(formatting.duration(ns)) <= 5


@given(st.floats(0, 1e14))
def test_rate_keeps_its_width(calls: float) -> None:
    assert len(formatting.rate(calls)) <= 6


@given(st.integers(0, 1 << 49))
def test_size_keeps_its_width(count: int) -> None:
    assert len(formatting.size(count)) <= 4


@pytest.mark.parametrize(
    ("calls", "text"),
    [(0, "0"), (0.04, "0.0"), (2, "2.0"), (9.96, "10"), (12_345.4, "12,345"), (99_999.6, "100k"), (1_234_567, "1.2M")],
)
def test_rate(calls: float, text: str) -> None:
    assert formatting.rate(calls) == text


@pytest.mark.parametrize(
    ("ns", "text"), [(0, "0:00.0"), (7_540_000_000, "0:07.5"), (65 * 10**9, "1:05.0"), (754 * 10**9, "12:34"),
                     (11_045 * 10**9, "3:04:05")],
)  # fmt: skip
def test_elapsed(ns: int, text: str) -> None:
    assert formatting.elapsed(ns) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (1023, "1023"), (1024, "1.0K"), (3_700_000, "3.5M"), (1 << 30, "1.0G")]
)
def test_size(count: int, text: str) -> None:
    assert formatting.size(count) == text


@pytest.mark.parametrize(("share", "text"), [(0, "0"), (0.0001, "<0.1"), (0.033, "3.3"), (0.99999, "100"), (1, "100")])
def test_percent(share: float, text: str) -> None:
    assert formatting.percent(share) == text


def test_ends() -> None:
    assert formatting.ended(3 << 8) == "exited 3"
    assert formatting.ended(signal.SIGKILL) == "killed by SIGKILL"
    assert formatting.ended(signal.SIGSEGV | 0x80) == "killed by SIGSEGV"
    assert formatting.ended(40) == "killed by signal 40"
    assert formatting.ended(None) == "ended"


@pytest.mark.parametrize("status", [None, *(code << 8 for code in (0, 127, 255)), *range(1, 65)])
def test_short_ends_keep_their_width(status: int | None) -> None:
    if status is not None:
        os.waitstatus_to_exitcode(status)
    assert len(formatting.ended_short(status)) <= 9


def test_a_command_is_one_line_that_no_terminal_obeys() -> None:
    assert formatting.command(("/bin/ls", "x\n\ty\x1b"), "ls") == r"ls x y\x1b"
    assert formatting.command((), "kworker\x1b") == r"kworker\x1b"
    assert formatting.command(("/bin/ls", "a lon"), "ls", cut=True) == "ls a lon…"


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (("/usr/bin/make", "-j4"), "make -j4"),
        (("./configure",), "configure"),
        (("bin/tool", "a/b"), "tool a/b"),
        (("-bash",), "-bash"),
        (("sshd: debian@pts/0",), "sshd: debian@pts/0"),
        (("postgres: app db 10.0.0.1(4242) idle/x",), "postgres: app db 10.0.0.1(4242) idle/x"),
        (("nginx:worker/3",), "nginx:worker/3"),
        (("/usr/sbin/apache2 -f /etc/a.conf",), "apache2 -f /etc/a.conf"),
        (("/opt/x:y/tool",), "tool"),
        (("",), "comm"),
        (("", "a"), "comm a"),
        (("/",), "/"),
    ],
)
def test_the_directory_is_left_out_of_a_path_and_nothing_of_a_title(argv: tuple[str, ...], shown: str) -> None:
    assert formatting.command(argv, "comm") == shown
    assert formatting.program(argv, "comm") in shown


@given(st.text(), st.integers(0, 30))
def test_pad_is_exact_in_cells(text: str, width: int) -> None:
    assert cell_len(formatting.pad(visible(text), width)) == width
    assert cell_len(formatting.pad(visible(text), width, right=True)) == width


def test_clip_says_that_it_cut() -> None:
    assert formatting.clip("abcdef", 4) == "abc…"
    assert formatting.clip("abcd", 4) == "abcd"
    assert formatting.clip("日本語", 4) == "日 …"
    assert formatting.clip("abc", 0) == ""


@pytest.mark.parametrize(
    ("line", "width", "shown"),
    [
        ("gcc -O2 -I/home/a/inc -c -o src/a/b.o src/a/b.c", 60, "gcc -O2 -I/home/a/inc -c -o src/a/b.o src/a/b.c"),
        ("gcc -O2 -I/home/a/inc -c -o src/a/b.o src/a/b.c", 45, "gcc -O2 -I…/a/inc -c -o …/a/b.o …/a/b.c"),
        ("gcc -O2 -I/home/a/inc -c -o src/a/b.o src/a/b.c", 24, "gcc …/a/b.o …/a/b.c"),
        ("gcc -O2 -I/home/a/inc -c -o src/a/b.o src/a/b.c", 16, "gcc … src/a/b.c"),
        ("gcc -O2 -I/home/a/inc -c -o src/a/b.o src/a/b.c", 10, "gcc …a/b.c"),
        ("/usr/lib/cc1 -quiet src/parse.c -dumpbase parse.c -O2", 20, "cc1 … src/parse.c"),
        ("cc1 -quiet -imultiarch x86 a.c -quiet -dumpbase a.c -dumpbase-ext .c", 24, "cc1 … x86 a.c … .c"),
        ("curl -s https://example.org/some/file", 26, "curl -s https://example.o…"),
        ("python3 -m pytest tests/watch", 30, "python3 -m pytest tests/watch"),
    ],
)
def test_a_command_line_is_cut_where_it_says_least(line: str, width: int, shown: str) -> None:
    assert formatting.condensed(line.split(), "comm", width) == shown


@given(st.lists(st.text(max_size=12), max_size=6), st.integers(4, 60))
def test_a_condensed_command_line_is_no_longer_than_asked(argv: list[str], width: int) -> None:
    assert cell_len(formatting.clip(formatting.condensed(argv, "comm", width), width)) <= width
