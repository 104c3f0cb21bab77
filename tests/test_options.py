"""Options that are wrong: one line, and the help of the command that they were given to."""

from __future__ import annotations

import pytest

from tests.watch.helpers import denet


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run -o", "Option '-o' requires an argument; see `denet-tui run --help`"),
        ("selftest --syscall", "Option '--syscall' requires an argument; see `denet-tui selftest --help`"),
        ("run --syscalls , -- true", "it names no system call; leave it out to count all; see `denet-tui run --help`"),
        ("run -o - -- true", "use --json for standard output; see `denet-tui run --help`"),
        (
            "export x",
            "Missing option '--to'. Choose from: folded, openmetrics, perfetto; see `denet-tui export --help`",
        ),
    ],
)
def test_a_wrong_option_is_one_line_and_leads_to_the_help_of_its_command(words: str, said: str) -> None:
    done = denet(*words.split())
    assert (done.returncode, done.stderr.count("\n"), "\\n" in done.stderr) == (125, 1, False)
    assert done.stderr.endswith(f"{said}\n")
