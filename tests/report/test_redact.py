"""Redacted twins that really do not tell."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from denet_tui.checks.model import BOTH, Evidence, Finding, Fix, RunCommand, SetValue, State, WriteFile
from denet_tui.checks.verdict import MethodVerdict
from denet_tui.repair.next_step import NextStep
from denet_tui.report import redact, report
from denet_tui.report.redact import Secrets, secrets_of
from denet_tui.report.report import Report
from tests.checks.fake import FakeHost

NAME = st.from_regex(r"[a-z][a-z0-9_-]{3,15}", fullmatch=True)
AROUND = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20)
OURS = "denet-tui diagnostic report redacted placeholders"


def hides(name: str) -> bool:
    """A name that is no word of the report itself: those tell of nobody, and cannot be told from it."""
    return name not in redact._SAYS_NOTHING


@given(NAME, NAME, NAME, AROUND, AROUND)
@example("alice", "alice-laptop", "alice", "", "")
@example("read", "web1", "x123", "sys_enter_", "_x")
def test_no_secret_survives_in_any_text(user: str, host: str, folder: str, before: str, after: str) -> None:
    assume(hides(user) and hides(host))
    home = f"/data/{folder}"
    secrets = Secrets(homes=(home,), users=(user,), hosts=(host,))
    for secret in (user, host, home, f"{home}/.config/{user}@{host}", user.upper()):
        shown = secrets.redact(f"{before}{secret}{after}")
        for each in (user, host, home):
            assert each.lower() not in re.sub(r"<[A-Z]+>", "", shown).lower()
        assert secrets.redact(shown) == shown


@settings(max_examples=30)
@given(user=NAME, host=NAME, value=AROUND)
def test_no_secret_survives_in_a_report(user: str, host: str, value: str) -> None:
    machine = FakeHost(
        {
            "/proc/sys/kernel/hostname": f"{host}.example.org\n",
            "/etc/passwd": f"{user}:x:1000:1000::/srv/{user}:/bin/sh\n",
            "/proc/self/mountinfo": f"1 1 0:6 / /srv/{user}/t rw - tracefs tracefs rw\n",
        }
    )
    secrets = secrets_of(machine)
    assume(hides(user) and hides(host))
    said = f"{value} {user} on {host} in /srv/{user}/x"
    fix = Fix(
        "FS-001.x",
        said,
        (RunCommand((said,), (said,)), WriteFile(said, said), SetValue(said, said)),
        "permanent",
        said,
        said,
        said,
    )
    told = Finding("FS-001", State.FAIL, said, (Evidence(said, said),), said, BOTH, (fix,))
    result = Report(
        (told,),
        (MethodVerdict("raw", "blocked", ("FS-001",)),),
        NextStep(said, (said,)),
        0,
        user,
        (said, said),
        secrets,
    )
    complete = report.as_markdown(result, machine)
    ours = report.as_markdown(
        Report((), (MethodVerdict("raw", "blocked", ("FS-001",)),), NextStep(""), 0, "", (), Secrets()),
        FakeHost(),
        redacted=False,
    )
    for secret in (user, host, f"/srv/{user}"):
        if secret not in ours + "permanent FS-001 fail Took required for both Seen Fix Undo Opens mode write":
            assert secret not in complete
    twin = json.dumps(report.finding_object(secrets.finding(told)))
    if user not in "permanent title evidence source value commands files values scope undo weakens advice redacted":
        assert user not in re.sub(r'"[a-z_]+":', "", twin).replace("permanent", "")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("/home/bob/x and /home/eve", "<HOME>/x and <HOME>"),
        ("connects to 192.168.1.17:80 and 10.0.0.1.", "connects to <IP>:80 and <IP>."),
        ("fe80::1ff:fe23:4567:890a on eth0", "<IP> on eth0"),
        ("127.0.0.1 and ::1 stay", "127.0.0.1 and ::1 stay"),
        ("bcc 0.26.0, Linux 6.1.0-18-amd64, std::string", "bcc 0.26.0, Linux 6.1.0-18-amd64, std::string"),
        ("root=UUID=0a1b2c3d-1111-2222-3333-444455556666", "root=UUID=<UUID>"),
        ("52:54:00:12:34:56", "<MAC>"),
        ("al in kernel", "<USER> in kernel"),
        ("balance al-x", "balance <USER>-x"),
        ("18:45:33 raw_syscalls:sys_enter", "18:45:33 raw_syscalls:sys_enter"),
    ],
)
def test_what_is_hidden_and_what_is_not(said: str, shown: str) -> None:
    assert Secrets(users=("al",)).redact(said) == shown


def test_arguments_of_commands_are_hidden_and_options_stay() -> None:
    assert Secrets().argv(["/usr/bin/psql", "--password=secret", "-h", "db", "--", "select"]) == [
        "/usr/bin/psql",
        "--password",
        "-h",
        "<ARG>",
        "--",
        "<ARG>",
    ]
    told = Finding(
        "FS-001",
        State.FAIL,
        "",
        evidence=(Evidence("/proc/77/cmdline", "python3\0secret.py\0--token=x"), Evidence("a", "b")),
    )
    assert Secrets().finding(told).evidence[0].value == "python3 <ARG> --token"


def test_names_that_tell_nothing_stay() -> None:
    host = FakeHost(
        {
            "/etc/passwd": "root:x:0:0::/root:/bin/sh\nsshd:x:100:1::/run/sshd:/x\ndebian:x:1000:1::/home/debian:/x\n"
            "nobody:x:65534:1::/nonexistent:/x\nbroken\n",
            "/etc/os-release": "ID=debian\n",
            "/etc/hostname": "localhost\n",
        }
    )
    secrets = secrets_of(host, [("carol", "/srv/carol")])
    assert secrets == Secrets(homes=("/home/debian", "/srv/carol"), users=("carol",))
    assert secrets.redact("root@localhost: Debian, sshd") == "root@localhost: Debian, sshd"
