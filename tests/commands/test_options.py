"""Words and options that are wrong: one line, and the help of the command that they were given to."""

from __future__ import annotations

import pytest

from tests.forked import each
from tests.watch.helpers import complaint, denet


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


NO_SENSE = [
    (["run"], "Missing argument 'COMMAND...'; see `denet-tui run --help`"),
    (["run", "--"], "Missing argument 'COMMAND...'; see `denet-tui run --help`"),
    (["attach"], "name processes, or choose them by --user, --cgroup, --unit or --container: one of them; see `"),
    (
        ["attach", "--user", "root", "1"],
        "or choose them by --user, --cgroup, --unit or --container: not both; see `",
    ),
    (["machine", "--unit", "a", "--cgroup", "b"], "--cgroup, --unit and --container exclude each other; see `"),
    (["attach", "no-such-name"], "no process is called 'no-such-name'; see `ps -e`"),
    (["ls | wc -l"], "if that is a line for a shell: denet-tui run -- sh -c 'ls | wc -l'"),
    (["nonsense"], "No such command or program 'nonsense'; see `denet-tui --help`"),
    (["machien"], "No such command or program 'machien': did you mean machine?; see `denet-tui --help`"),
    (["help", "atach"], "No such command or topic 'atach': did you mean attach?"),
    (["--nonsense"], "No such option '--nonsense'; see `denet-tui --help`"),
    (["--no-tui", "ls"], "No such option '--no-tui' before a command: say `denet-tui run --no-tui ...`; see"),
    (["--plan"], "say `denet-tui setup --plan ...`"),
    (["--no-sudo", "true"], "say `denet-tui run --no-sudo ...`"),
    (["explain", ""], "say what is to be explained"),
    (["run", "--nonsense", "--", "true"], "No such option '--nonsense'"),
    (["run", "--interval", "0", "--", "true"], "0.0 is not in the range 0.1<=x<=10"),
    (["run", "--interval", "11", "--", "true"], "11.0 is not in the range 0.1<=x<=10"),
    (["run", "--interval", "nan", "--", "true"], "--interval"),
    (["run", "--interval", "x", "--", "true"], "'x' is not a valid float"),
    (["run", "--rows", "0", "--", "true"], "0 is not in the range"),
    (["run", "--way", "other", "--", "true"], "'other' is not one of"),
    (["attach", "0"], "ids of processes begin with 1"),
    (["attach", "1", "0"], "ids of processes begin with 1"),
    (["attach", "-1"], "-1"),
    (["report", "--json", "--csv", "a"], "--json and --csv are two forms: choose one; see `denet-tui report"),
    (["report", "--markdown", "--json", "a"], "--markdown and --json are two forms: choose one; see `"),
    (["export", "--to", "folded", "--to", "perfetto", "a"], "folded and perfetto are two forms: choose one; see `"),
]


def test_words_that_make_no_sense() -> None:
    for (_, says), done in zip(NO_SENSE, each(words for words, _ in NO_SENSE), strict=True):
        line = complaint(done)
        assert says in line, done.args
        assert "see `" in line, done.args


def test_what_nearly_is_a_check_is_asked_about() -> None:
    (done,) = each([["explain", "prv-005"]])
    assert "nothing is known about 'prv-005': did you mean PRIV-005? `" in complaint(done, 1)
