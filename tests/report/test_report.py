"""Findings as text, JSON and Markdown; and redacted twins that really do not tell."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from denet_tui.bpf.facts import Mount
from denet_tui.checks import catalogue, verdict
from denet_tui.checks.model import BOTH, AttachMethod, Evidence, Finding, Fix, RunCommand, SetValue, State, WriteFile
from denet_tui.helper import check_runner
from denet_tui.repair.next_step import next_step
from denet_tui.report import report, text
from denet_tui.report.redact import Secrets, secrets_of
from denet_tui.report.report import Report
from tests.checks.fake import FakeHost

SCHEMA = json.loads(resources.files("denet_tui.report").joinpath("diag.schema.json").read_text())
MOUNT = Fix(
    "FS-001.mount",
    "mount tracefs",
    (RunCommand(("/usr/bin/mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"), ("/usr/bin/umount", "x")),),
    "until-reboot",
    "unmount it",
)
DROP_IN = Fix(
    "FS-002.group",
    "let a group read it",
    (WriteFile("/etc/systemd/x.conf", "[Mount]\nOptions=mode=750\n"), SetValue("/proc/sys/kernel/x", "2")),
    "permanent",
    "delete it",
    weakens="the group reads tracefs",
    advice="log in again",
)
LOGIN = Fix("PRIV-002.login", "log in", (), "permanent", "nothing to undo", advice="log in again")
DELETE = Fix("LEFT-001.clean", "remove it", (WriteFile("/etc/old", None),), "permanent", "write it again")


def finding(
    name: str = "FS-001", state: State = State.FAIL, methods: tuple[AttachMethod, ...] = BOTH, **rest: Any
) -> Finding:
    return Finding(name, state, f"title of {name}", required_for=methods, **rest)


def a_report(*findings: Finding, secrets: Secrets | None = None, user: str = "alice") -> Report:
    found = verdict.methods(findings)
    step = next_step(FakeHost(), findings, found)
    return Report(findings, found, step, 0, user, ("denet-tui", "diag", "--report", "/x"), secrets or Secrets())


def valid(result: Report) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(report.as_json(result))
    jsonschema.Draft202012Validator(SCHEMA).validate(parsed)
    return parsed


# The verdict


@pytest.mark.parametrize(
    ("findings", "raw", "tracefs"),
    [
        ([], "unknown", "unknown"),
        ([finding("E2E-001", State.PASS)], "ready", "ready"),
        ([finding("E2E-001", State.FAIL, ("tracefs",))], "ready", "blocked"),
        ([finding("PRIV-001"), finding("E2E-001")], "blocked", "blocked"),
        ([finding("FS-001", methods=("tracefs",)), finding("E2E-001", State.UNKNOWN)], "unknown", "blocked"),
        ([finding("E2E-001", State.CRASH, ())], "unknown", "unknown"),
        ([finding("E2E-001", State.UNKNOWN, ("tracefs",))], "ready", "unknown"),
        ([finding("KERN-004", State.FAIL, ()), finding("E2E-001", State.PASS)], "ready", "ready"),
        ([finding("KERN-002", State.UNKNOWN), finding("E2E-001", State.PASS)], "ready", "ready"),
    ],
)
def test_a_way_is_ready_where_it_was_proven(findings: list[Finding], raw: str, tracefs: str) -> None:
    assert [method.verdict for method in verdict.methods(findings)] == [raw, tracefs]


def test_where_only_some_were_run_a_verdict_is_of_those() -> None:
    assert [method.verdict for method in verdict.methods([finding(state=State.PASS)], whole=False)] == [
        "ready",
        "ready",
    ]
    assert [method.verdict for method in verdict.methods([finding(state=State.UNKNOWN)], whole=False)] == [
        "unknown"
    ] * 2
    fine = verdict.methods([finding(state=State.PASS)], whole=False)
    assert [str(method) for method in fine] == ["ready as far as was checked"] * 2
    assert str(next_step(FakeHost(), [finding(state=State.PASS)], fine)) == "Look at everything: denet-tui diag"
    blocked = verdict.methods([finding(methods=("tracefs",))], whole=False)
    assert [method.verdict for method in blocked] == ["ready", "blocked"]


@pytest.mark.parametrize(
    ("states", "strict", "status"),
    [
        ([State.PASS], False, 0),
        ([State.PASS, State.WARN], False, 0),
        ([State.PASS, State.WARN], True, 2),
        ([State.FAIL, State.WARN], True, 1),
        ([State.UNKNOWN], False, 1),
        ([State.PASS, State.SKIP], True, 0),
    ],
)
def test_exit_statuses(states: list[State], strict: bool, status: int) -> None:
    findings = [finding("E2E-001", states[0]), *(finding(f"A-00{n}", each) for n, each in enumerate(states[1:]))]
    assert verdict.status(findings, verdict.methods(findings), strict=strict) == status
    crashed = [*findings, finding("B-001", State.CRASH)]
    assert verdict.status(crashed, verdict.methods(crashed), strict=strict) == 70


@pytest.mark.parametrize(
    ("findings", "shown"),
    [
        # Nothing is known of the proof yet, as while the setup screen looks.
        ([finding("FS-001", methods=("tracefs",), fixes=(MOUNT,))], ["optional"]),
        ([finding("FS-001", methods=("tracefs",)), finding("E2E-001", State.PASS, ("raw",))], ["optional", "pass"]),
        ([finding("LIM-001"), finding("E2E-001", State.PASS, ("raw",))], ["optional", "pass"]),
        ([finding("FS-003", methods=()), finding("E2E-001", State.PASS)], ["fail", "pass"]),
        (
            [finding("LIM-001"), finding("FS-001", methods=("tracefs",)), finding("E2E-001")],
            ["fail", "optional", "fail"],
        ),
        (
            [finding("KERN-009", methods=("raw",)), finding("FS-001", methods=("tracefs",), fixes=(MOUNT,))],
            ["optional", "fail"],
        ),
    ],
)
def test_what_fails_is_why_it_does_not_work_and_the_rest_is_optional(findings: list[Finding], shown: list[str]) -> None:
    settled = verdict.settled(findings)
    assert [each.state for each in settled] == shown
    assert verdict.methods(settled) == verdict.methods(findings)
    assert verdict.settled(settled) == settled
    assert "optional" in text.render(settled, verdict.methods(settled), next_step(FakeHost(), settled, ())) or (
        "optional" not in shown
    )


SUDO = {"/usr/bin/sudo": "x"}
EXECUTABLE = {"/usr/bin/sudo": 0o100755}


@pytest.mark.parametrize(
    ("uid", "sudo", "findings", "says"),
    [
        (0, True, [finding("E2E-001", State.PASS)], "Ready. Watch a command: sudo denet-tui run -- CMD"),
        (0, False, [finding("E2E-001", State.PASS)], "Ready. Watch a command: denet-tui run -- CMD"),
        (1000, True, [finding("E2E-001", State.PASS)], "Ready. Watch a command: denet-tui run -- CMD"),
        (
            0,
            True,
            [finding("BCC-001", fixes=(MOUNT,)), finding("E2E-001")],
            "Repair BCC-001 (mount tracefs): sudo denet-tui setup --only BCC-001",
        ),
        (1000, True, [finding("PRIV-001"), finding("E2E-001")], "look at everything, and watch: sudo denet-tui diag"),
        (
            1000,
            False,
            [finding("BCC-001", fixes=(MOUNT,))],
            "Ask an administrator of this machine to repair BCC-001 (mount tracefs) with, as root: denet-tui setup",
        ),
        (1000, False, [finding("PRIV-001")], "Ask an administrator of this machine to run, as root: denet-tui diag"),
        (
            1000,
            True,
            [finding("PRIV-001"), finding("FS-001", methods=("tracefs",), fixes=(MOUNT,))],
            "sudo denet-tui diag",
        ),
        (0, True, [finding("PRIV-002", fixes=(LOGIN,))], "PRIV-002: log in again"),
        (0, True, [finding("E2E-001", State.CRASH)], "Report what broke, with: denet-tui diag --report FILE"),
    ],
)
def test_there_is_one_next_step(uid: int, sudo: bool, findings: list[Finding], says: str) -> None:
    host = FakeHost(SUDO if sudo else {}, modes=EXECUTABLE, uid=uid)
    assert says in str(next_step(host, findings, verdict.methods(findings)))


# The text


def test_the_text_has_evidence_reason_fix_and_next_step() -> None:
    evidence = (Evidence("/proc/self/mountinfo", "no tracefs"),)
    shown = finding(evidence=evidence, why="Because it matters.", fixes=(MOUNT, DROP_IN, DELETE), links=("man 7 x",))
    result = a_report(shown)
    lines = text.render(result.findings, result.methods, result.step).splitlines()
    joined = "\n".join(lines)
    assert lines[0] == "tracefs"
    assert "  \N{BALLOT X} fail     FS-001      title of FS-001" in lines
    assert "      seen  /proc/self/mountinfo: no tracefs" in lines
    assert "      why   Because it matters." in lines
    assert "      fix   mount tracefs (until-reboot)" in lines
    assert "              /usr/bin/mount -t tracefs tracefs /sys/kernel/tracing" in lines
    assert "            opens: the group reads tracefs" in lines
    assert "              /etc/systemd/x.conf (mode 0644):" in lines
    assert "              /proc/sys/kernel/x: write 2" in lines
    assert "              /etc/old: delete" in lines
    assert "method  raw: blocked by FS-001" in lines
    assert joined.endswith("next    Repair FS-001 (mount tracefs):\n        denet-tui setup --only FS-001")


def test_a_sign_and_a_word_for_each_state_and_colour_only_where_asked_for() -> None:
    findings = [finding("FS-001", state) for state in State]
    result = a_report(*findings)
    plain = text.render(result.findings, result.methods, result.step, ascii_only=True)
    assert plain.isascii()
    signs = re.findall(r"^  (\S) (\w+) +FS-001", plain, re.MULTILINE)
    assert [word for _, word in signs] == [str(state) for state in State]
    assert len({sign for sign, _ in signs}) == len(State)
    coloured = text.render(result.findings, result.methods, result.step, ascii_only=True, colour=True)
    assert coloured != plain
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain


NASTY = st.text(st.characters(exclude_categories=()), max_size=300)


@given(NASTY, NASTY, NASTY, NASTY)
@example("\x1b]0;x\x07", "a" * 200, "\ud800 \u202e", "\n\n")
def test_any_text_fits_80_columns_and_obeys_nobody(title: str, source: str, value: str, why: str) -> None:
    result = a_report(Finding("FS-001", State.FAIL, title, (Evidence(source, value),), why, BOTH))
    for line in text.render(result.findings, result.methods, result.step).splitlines():
        assert len(line) <= 80
        assert line.isprintable()


def test_long_commands_are_broken_where_a_shell_goes_on() -> None:
    argv = ["/usr/bin/setpriv", *(f"--option-{n}=a b" for n in range(9))]
    lines = text.command_lines(argv, 60)
    assert all(len(line) <= 60 for line in lines)
    assert all(line.endswith(" \\") for line in lines[:-1])
    import shlex

    assert shlex.split("\n".join(lines).replace("\\\n", "")) == argv


def test_a_long_command_in_an_advice_can_be_copied() -> None:
    command = "sudo setpriv --reuid=1000 --regid=1000 --init-groups --inh-caps=-all,+bpf -- denet-tui run -- true"
    fix = Fix("PRIV-001.x", "start it so", (), "until-reboot", "", advice=f"run `{command}`; `ls` is short")
    result = a_report(finding(fixes=(fix,)))
    lines = text.render(result.findings, result.methods, result.step).splitlines()
    first = lines.index("            run") + 1
    assert "".join(line.strip().removesuffix("\\") for line in lines[first : first + 2]) == command
    assert lines[first + 2] == "            ; `ls` is short"


def test_a_healthy_machine_is_told_in_few_lines() -> None:
    result = a_report(*(finding("FS-001", State.PASS, why="w", fixes=(MOUNT,)) for _ in range(3)))
    shown = text.render(result.findings, result.methods, result.step)
    assert "why" not in shown
    assert "fix" not in shown


# JSON

MACHINES = {
    "empty": FakeHost(),
    "nobody on an empty one": FakeHost(uid=65534),
    "debian": FakeHost(
        {
            "/proc/self/status": "CapEff:\t0\nCapBnd:\t000001ffffffffff\nSeccomp:\t0\nGid:\t1000\t1000\n",
            "/proc/self/uid_map": "0 0 4294967295\n",
            "/proc/sys/kernel/unprivileged_bpf_disabled": "2\n",
            "/proc/sys/kernel/perf_event_paranoid": "3\n",
            "/proc/sys/kernel/hostname": "alice-laptop\n",
            "/etc/passwd": "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n",
            "/etc/os-release": 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
            **SUDO,
        },
        modes=EXECUTABLE,
        mounts=[Mount("/sys/kernel/debug", "debugfs", ("rw",), ("rw",))],
        uid=1000,
    ),
    "garbage": FakeHost(
        dict.fromkeys(
            ("/proc/self/status", "/proc/self/limits", "/etc/passwd", "/etc/os-release", "/proc/self/uid_map"),
            b"\xff\0:\n" * 1000,
        ),
        release="garbage",
        machine="pdp11",
    ),
}


@pytest.mark.parametrize("name", MACHINES)
def test_every_machine_gives_valid_json_text_and_report(name: str) -> None:
    host = MACHINES[name]
    findings = check_runner.run(host)
    found = verdict.methods(findings)
    step = next_step(host, findings, found)
    result = Report(tuple(findings), found, step, host.uid, "alice", secrets=secrets_of(host))
    parsed = valid(result)
    assert [each["id"] for each in parsed["findings"]] == [check.id for check in catalogue.ALL]
    assert not [each["id"] for each in parsed["findings"] if each["state"] == "crash"]
    assert all(len(line) <= 80 for line in text.render(findings, found, step).splitlines() if "--" not in line)
    complete = report.as_markdown(result, host)
    for each in findings:
        assert f"### {each.id} {each.state}: " in complete


def test_json_has_the_changes_of_a_fix_and_a_redacted_twin() -> None:
    told = finding(fixes=(MOUNT, DROP_IN), evidence=(Evidence("/home/alice/x", "y"),))
    parsed = valid(a_report(told, secrets=Secrets(users=("alice",))))
    mount, drop_in = parsed["findings"][0]["fixes"]
    assert mount["commands"] == [["/usr/bin/mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"]]
    assert drop_in["files"] == [{"path": "/etc/systemd/x.conf", "text": "[Mount]\nOptions=mode=750\n", "mode": "0644"}]
    assert drop_in["values"] == [{"path": "/proc/sys/kernel/x", "value": "2"}]
    assert parsed["findings"][0]["redacted"] == {"evidence": [{"source": "<HOME>/x", "value": "y"}]}
    assert "redacted" not in valid(a_report(finding()))["findings"][0]


@given(NASTY)
def test_json_is_valid_whatever_was_seen(value: str) -> None:
    valid(a_report(finding(evidence=(Evidence(value, value),), why=value)))


def test_the_schema_refuses_what_is_not_in_it() -> None:
    parsed = valid(a_report(finding()))
    parsed["findings"][0]["state"] = "perhaps"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(parsed)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_report_is_complete_and_not_redacted_only_where_asked_for() -> None:
    host = MACHINES["debian"]
    told = finding(evidence=(Evidence("/home/alice/x", "~~~~\nalice\x1b[31m"),), fixes=(MOUNT,), why="`code` <b>")
    result = a_report(told, secrets=secrets_of(host))
    complete = report.as_markdown(result, host)
    for heading in (
        "Verdict",
        "Steps to reproduce",
        "System",
        "Settings",
        "Mounts",
        "Kernel configuration",
        "Findings",
    ):
        assert f"\n## {heading}" in complete
    for word in ("Debian GNU/Linux 12", "denet-tui: ", "python: ", "textual: ", "bcc: ", "CapEff: 0", "debugfs on"):
        assert word in complete
    assert "kernel.perf_event_paranoid: 3" in complete
    assert "denet-tui diag --report '<ARG>'" in complete
    assert "~~~~~\n~~~~\n<USER>\\x1b[31m\n~~~~~" in complete
    assert "\\`code\\` \\<b>" in complete
    assert "/usr/bin/mount -t tracefs" in complete
    assert "alice" not in complete
    assert "alice" in report.as_markdown(result, host, redacted=False)
