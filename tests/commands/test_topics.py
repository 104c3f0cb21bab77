"""`help TOPIC`: pages of docs/, and what an installed denet-tui has of them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.real import REPOSITORY
from tests.watch.helpers import denet

PAGES = sorted((REPOSITORY / "docs").glob("*.md"))


@pytest.mark.parametrize(
    ("topic", "says"),
    [
        ("exact", "Every system call that a watched process enters is counted once"),
        ("recording", "The first line is `metadata`"),
        ("privilege", "What needs privilege, and when"),
        ("filters", "`/`\nfilters"),
        ("findings", "What stands out, the weightiest first"),
        ("time", "a heat map over time"),
        ("files", "opens, reads, writes, bytes, time"),
        ("exit status", "`run` ends with the status of the command that it watched"),
        ("Environment", "NO_COLOR"),
        ("bpftrace", "May another tracer run at the same time?"),
        ("run", "Usage: denet-tui run"),
    ],
)
def test_what_a_topic_says(topic: str, says: str) -> None:
    done = denet("help", *topic.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert says in done.stdout
    assert "](" not in done.stdout, "links lead nowhere in a terminal"


def test_help_lists_the_pages_and_what_is_neither_command_nor_topic_is_one_line() -> None:
    listed = denet("help").stdout.partition("Topics")[2]
    assert [page.stem for page in PAGES if f"\n  {page.stem}" not in listed] == []
    assert "exit status" in " ".join(listed.split()).casefold()
    for words, meant in (("Map not found", "`denet-tui explain 'Map not found'`"), ("KERN-004", "explain KERN-004`")):
        done = denet("help", *words.split())
        assert done.returncode == 125
        assert done.stderr.startswith(f"denet-tui: No such command or topic {words!r}; ")
        assert meant in done.stderr
        assert done.stderr.count("\n") == 1
    assert "did you mean attach?" in denet("help", "atach").stderr
    assert len(denet("help", 100_000 * "x").stderr) < 500


def test_the_wheel_brings_all_pages_as_they_are(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        for page in PAGES:
            assert packed.read(f"denet_tui/docs/{page.name}") == page.read_bytes()
