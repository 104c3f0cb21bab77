"""What waits for the emulator is bounded, whoever is slow; what is left out is counted."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denet_tui.watch.output import KEPT, PIECE, RATE, CommandOutput


def everything(output: CommandOutput, now: float = 100.0) -> tuple[bytes, int]:
    """All that is still to come, with all the time in the world."""
    data, skipped = b"", 0
    while (taken := output.take(now)) != (b"", 0):
        data, skipped, now = data + taken[0], skipped + taken[1], now + PIECE / RATE
    return data, skipped


def test_what_is_little_comes_whole_and_at_once() -> None:
    output = CommandOutput()
    output.add(b"one\n")
    output.add(b"two")
    assert output.take(5.0) == (b"one\ntwo", 0)
    assert output.take(5.0) == (b"", 0)


def test_a_piece_at_a_time_and_no_more_than_the_rate() -> None:
    output = CommandOutput()
    output.add(b"x" * 3 * PIECE)
    assert len(output.take(1.0)[0]) == PIECE
    assert output.take(1.0 + PIECE / RATE / 2) == (b"", 0)
    assert len(output.take(1.0 + PIECE / RATE)[0]) == PIECE
    assert len(output.take(99.0)[0]) == PIECE


def test_a_flood_leaves_its_end_and_says_what_is_missing() -> None:
    output = CommandOutput()
    for number in range(20_000):
        output.add(b"line %d\n" % number)
    data, skipped = everything(output)
    assert len(data) + skipped == output.total
    assert KEPT - PIECE < len(data) <= KEPT + PIECE
    assert data.endswith(b"line 19999\n")
    assert data.startswith(b"line ")


@given(st.lists(st.binary(max_size=3 * PIECE), max_size=12))
def test_every_byte_is_given_or_counted(chunks: list[bytes]) -> None:
    output = CommandOutput()
    for chunk in chunks:
        output.add(chunk)
    data, skipped = everything(output)
    assert len(data) + skipped == output.total == sum(map(len, chunks))
    assert b"".join(chunks).endswith(data)


def test_the_file_has_all_of_it(tmp_path: Path) -> None:
    with (tmp_path / "copy").open("wb", buffering=0) as copy:
        output = CommandOutput(copy)
        for _ in range(40):
            output.add(b"y" * PIECE)
    assert (tmp_path / "copy").stat().st_size == 40 * PIECE


def test_the_last_line_is_what_a_reader_would_have_seen_last(tmp_path: Path) -> None:
    output = CommandOutput()
    assert output.last_line == ""
    output.add(b"10 %\r20 %\r")
    assert output.last_line == "20 %"
    output.add(b"gcc a.c\r\n\x1b]0;title\x07\x1b[1;31ma.c:1: error: \xc3\xa4\x1b[0")
    output.add(b"m\x1b[K\r\n  \r\n\x1b(B\r\n")
    assert output.last_line == "a.c:1: error: ä"
    output.add(b"a.c:3:5: note: declared here\r\ncompilation terminated.\r\n")
    assert output.last_line == "a.c:1: error: ä", "what a compiler adds says nothing without it"
    output.add(b"make: *** [Makefile:2: a.o] Error 1\r\n")
    assert output.last_line == "make: *** [Makefile:2: a.o] Error 1"
    output.add(b"no errors here\r\n" * 12)
    assert output.last_line == "no errors here"
    output.add(b"x" * 99_999)
    assert output.last_line.strip("x") == ""
    with (tmp_path / "copy").open("wb", buffering=0) as copy:
        copy.write(b"one\ntwo\n\n")  # as a command does that has it for its standard error
        assert CommandOutput(copy).last_line == "two"
    with Path("/dev/null").open("wb", buffering=0) as nowhere:
        assert CommandOutput(nowhere).last_line == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("ls -d /etc/nowhere /etc", r"ls: .*'?/etc/nowhere'?: No such file or directory"),
        ("sh -c 'nowhere; ls -d /etc; exit 1'", r"sh: .*nowhere: (command )?not found"),
    ],
)
def test_an_error_is_told_before_what_comes_after_it(words: str, said: str) -> None:
    output = CommandOutput()
    done = subprocess.run(
        shlex.split(words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "LC_ALL": "C"}
    )
    assert done.stdout.splitlines()[-1] == b"/etc"
    output.add(done.stdout)
    assert re.fullmatch(said, output.last_line)


def test_a_full_disk_is_told_and_harms_nobody() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        output = CommandOutput(full)
        output.add(b"lost")
        output.add(b" and found")
    assert output.failure is not None
    assert output.failure.startswith("the command's output file is cut off: No space left on device (")
    assert output.take(1.0)[0] == b"lost and found"
