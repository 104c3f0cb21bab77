"""The loader's socket under a real systemd: set up, used, taken back, killed in between; and as docs have it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from denet_tui.checks import service
from tests import box as boxes
from tests.box import Box
from tests.watch.helpers import eventually

pytestmark = [pytest.mark.root, pytest.mark.slow]

FOLDER = Path(service.__file__).parent / "units"
TRACES = """
systemctl daemon-reload
systemctl list-units --all --no-legend '*denet*'
find /run /sys/fs/cgroup /etc/systemd -name '*denet*' | sort
ls /var/lib/denet-tui/journal.jsonl 2> /dev/null
getent group denet-trace
pgrep -fa '[d]enet_tui.bpf.loader'
true
"""
"""What can be left of it."""
AS = "cd /home/{0} && setpriv --reuid={0} --regid={0} --init-groups --inh-caps=-all --no-new-privs env HOME=/home/{0} "


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    if reason := boxes.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("box") / "inside"
    folder.mkdir()
    with boxes.booted(folder) as made:
        yield made


@pytest.fixture
def clean(box: Box) -> Iterator[Box]:
    """The same box with nothing of it, which must leave nothing."""
    assert not box.check(TRACES)
    yield box
    box.check("gpasswd --delete anna denet-trace 2> /dev/null || true; denet-tui setup --undo")
    assert not box.check(TRACES)


def as_user(name: str) -> str:
    """What is put in front of a command of that user's, whose groups are those of now."""
    return AS.format(name)


def finding(box: Box, who: str = "", identity: str = "PRIV-005") -> dict[str, Any]:
    (found,) = json.loads(box.run(f"{who}denet-tui diag --json --only {identity}").stdout)["findings"]
    return dict(found)


APPLY = """
import signal, os, sys
from denet_tui.checks import service
from denet_tui.checks.host import Host
from denet_tui.repair.journal import Journal
from denet_tui.repair.repair import Repair
left, real = int(sys.argv[1]), Journal.done
def done(book, entry, seen):
    global left
    for note in (lambda: None, lambda: real(book, entry, seen)):
        note()
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
Journal.done = done
(fix,) = service.check(Host()).fixes
print(Repair(Host()).apply(fix))
"""


def apply(box: Box, killed_after: int = -1) -> subprocess.CompletedProcess[str]:
    """Apply the fix without looking at everything else; killed once so many of its notes could have been written."""
    return box.run(f"/opt/denet-tui/bin/python -I - {killed_after} <<'END'\n{APPLY}\nEND")


def test_it_is_set_up_used_and_taken_back(clean: Box) -> None:
    """What `setup` and its screen do about it, without all the other checks: tests/lab/test_vm_socket.py has those."""
    assert finding(clean)["state"] == "skip"
    assert apply(clean).stdout == "Applied(fix='PRIV-005.socket', changed=True)\n"
    found = finding(clean)
    assert found["state"] == "pass", found
    assert found["evidence"][0] == {
        "source": "selftest as nobody, a member of denet-trace",
        "value": "1,000 calls made, 1,000 counted",
    }
    refused = clean.run(f"{as_user('anna')} denet-tui run --no-tui -- true")
    assert (refused.returncode, refused.stderr.count("\n")) == (125, 1)
    assert "gpasswd --add anna denet-trace" in refused.stderr
    clean.check("gpasswd --add anna denet-trace")
    assert finding(clean, as_user("anna"), "PRIV-006")["state"] == "pass"
    summary = clean.check(f"{as_user('anna')} denet-tui run --no-tui --json -- sh -c 'true; exit 0' | tail -n 1")
    assert json.loads(summary)["exact"] is True
    other = clean.run(f"{as_user('bert')} denet-tui run --no-tui -- true")
    assert (other.returncode, other.stderr.count("\n")) == (125, 1)
    clean.check("gpasswd --delete anna denet-trace")
    undone = json.loads(clean.check("denet-tui setup --undo --json"))["undone"]
    assert undone == [{"id": "PRIV-005.socket", "left": []}]


def test_by_hand_as_the_documentation_has_it(clean: Box) -> None:
    commands = boxes.documented_commands("By hand it is three files")
    assert len(commands) == 3
    clean.check("cd /mnt\n" + "\n".join(commands))
    assert finding(clean)["state"] == "pass"
    text = (boxes.REPOSITORY / "docs/setup.md").read_text().partition("To take back what was done by hand:")[2]
    taken_back = [
        part for part in text.partition("\n\n")[0].replace("\n", " ").split("`") if part.startswith("systemctl")
    ]
    assert len(taken_back) == 2
    clean.check("\n".join([*taken_back, "rm /etc/systemd/system/denet*", f"groupdel {service.GROUP}"]))


@pytest.mark.parametrize("after", [0, 5, 9, 12, 13])
def test_killed_in_between_it_is_taken_back(clean: Box, after: int) -> None:
    """After a step was made, and after that was noted, of seven; the first is the group, the last starts the socket."""
    assert apply(clean, killed_after=after).returncode == 137
    assert clean.check(TRACES), "something was made"
    assert "PRIV-005.socket" in clean.check("denet-tui setup --undo 2>&1")


def test_hundreds_of_connections_and_what_is_left_of_them(clean: Box) -> None:
    """Many more than are served at once; the lab makes 900."""
    apply(clean)
    clean.check("gpasswd --add anna denet-trace")
    before = clean.check(f"{TRACES}\nsystemctl is-active {service.UNIT}")
    python = f"{as_user('anna')} /opt/denet-tui/bin/python -I"
    assert json.loads(clean.check(f"{python} /mnt/tests/lab/member.py storm 300")) == {"connected": 300}
    eventually(lambda: clean.check(f"{TRACES}\nsystemctl is-active {service.UNIT}") == before, "all have ended", 60)
    assert json.loads(clean.check(f"{as_user('anna')} denet-tui selftest --json"))["exact"] is True


HOARD = """
import json, os
from denet_tui.bpf.failure import LoadError
from denet_tui.bpf.request import Request
from denet_tui.bpf.unprivileged import Served
held = []
def ask(**chosen):
    try:
        kernel = Served(Request("raw", **chosen)).receive()
    except LoadError as error:
        return error.text
    for each in kernel.maps.values():
        os.close(each)
    held.append(kernel.links)
small = ask(rows=1)
while len(held) < 60 and not (said := ask(scale=2)):
    pass
print(json.dumps({"small": small, "held": len(held), "said": said}))
"""


def test_a_member_who_hoards_is_stopped_and_told_by_what(clean: Box) -> None:
    """Who keeps the links alone has all of the maps' memory to pay for, and can have none that are smaller.

    Here with maps of four times the size, as each program is compiled: tests/lab hoards the smallest.
    """
    apply(clean)
    clean.check("gpasswd --add anna denet-trace")
    found = json.loads(clean.check(f"{as_user('anna')} /opt/denet-tui/bin/python -I - <<'END'\n{HOARD}\nEND"))
    assert "at least 65,536 rows" in (found["small"] or "")
    assert 2 < found["held"] <= 32 // 4, found
    assert "denet_tui.slice" in found["said"], found


def test_a_unit_of_another_version_is_brought_up_to_date(clean: Box) -> None:
    apply(clean)
    unit = f"{service.SYSTEMD}/{service.UNIT}"
    clean.check(f"sed -i 's/^# denet-tui units .*/# denet-tui units 0/; s/^SocketMode=.*/SocketMode=0600/' {unit}")
    clean.check(f"systemctl daemon-reload && systemctl restart {service.UNIT}")
    assert "older denet-tui" in finding(clean)["title"]
    apply(clean)
    assert finding(clean)["state"] == "pass"
    assert clean.check(f"stat -c %a {service.SOCKET}").strip() == "660"
    left = clean.check("denet-tui setup --undo || true")
    assert f"left: {unit} was changed since" in left, "by the hand of this test"
    clean.check(f"rm {unit}")


def test_a_socket_that_is_stopped_is_a_warning_and_started_again(clean: Box) -> None:
    apply(clean)
    clean.check(f"systemctl stop {service.UNIT}")
    found = finding(clean)
    assert (found["state"], found["title"][-14:]) == ("warn", "it is inactive")
    apply(clean)
    assert finding(clean)["state"] == "pass"


def test_what_systemd_run_started_cannot_be_robbed(box: Box) -> None:
    """By another process of the same user, as in tests/attack, where there is no systemd."""
    rights = "-p 'AmbientCapabilities=CAP_BPF CAP_PERFMON' -p LimitMEMLOCK=infinity -p WorkingDirectory=/home/anna"
    box.check(f"systemd-run --quiet --unit=robbed --uid=anna {rights} denet-tui run --no-tui -- sleep 100")
    try:
        eventually(lambda: box.run("pgrep -u anna -x sleep").stdout, "the command runs")
        holds = (
            "for each in $(pgrep -u anna); do ls -l /proc/$each/fd | grep -q anon_inode:bpf && echo $each; done; true"
        )
        (holder,) = box.check(holds).split()
        found = json.loads(box.check(f"{as_user('anna')} python3 /mnt/tests/attack/robber.py {holder}"))[holder]
        assert {how.partition(" ")[0] for how in found.values()} == {"refused"}, found
        assert len(found) > len(("memory", "list", "read", "seize")), "there were descriptors to take"
        rights = box.check(f"grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/{holder}/status").split()
        assert rights == ["CapEff:", "0" * 16, "NoNewPrivs:", "1", "Seccomp:", "2"]
    finally:
        box.check("systemctl kill --signal=KILL robbed; systemctl reset-failed robbed || true")


def test_the_units_make_sense_to_systemd(clean: Box) -> None:
    """All keys are known, and the service may hardly do anything but what it is for."""
    clean.check(f"cp /mnt/denet_tui/checks/units/* {service.SYSTEMD}/")
    said = clean.run(f"systemd-analyze verify --man=no {service.SYSTEMD}/denet*")
    clean.check(f"rm {service.SYSTEMD}/denet*")
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_the_service_is_shut_in() -> None:
    path = FOLDER / "denet-tui-loader@.service"
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", path],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.splitlines()[-1:]


SERVE = "docs/serve/denet-tui.service"
SCRAPED = """
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:9783/metrics").read().decode())
"""


def test_serve_as_a_service_is_shut_in_and_somebody_of_its_own(box: Box) -> None:
    """A command is watched: the box is a PID namespace, where the whole machine cannot be."""
    commands = boxes.documented_commands("## As a service", "serve.md")
    assert len(commands) == 2
    edited = "[Service]\nExecStart=\nExecStart=!/opt/denet-tui/bin/denet-tui serve --run-as denet-tui -- sleep 1000\n"
    folder = f"{service.SYSTEMD}/denet-tui.service.d"
    box.check(f"mkdir {folder} && printf '{edited}' > {folder}/override.conf && cd /mnt\n" + "\n".join(commands))
    try:
        scrape = f"/opt/denet-tui/bin/python -I -c '{SCRAPED}'"
        eventually(lambda: 'comm="sleep"' in box.run(scrape).stdout, "it is counted")
        assert "\ndenet_exact 1.0\n" in box.check(scrape)
        pid = box.check("systemctl show -p MainPID --value denet-tui").strip()
        status = box.check(f"grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/{pid}/status").split()
        assert int(status[1]) == int(box.check("id -u denet-tui")) > 1000
        assert status[-6:] == ["CapEff:", "0" * 16, "NoNewPrivs:", "1", "Seccomp:", "2"]
        said = box.run(f"systemd-analyze verify --man=no {service.SYSTEMD}/denet-tui.service")
        assert (said.returncode, said.stdout + said.stderr) == (0, "")
        box.check(f"systemd-analyze security --offline=true --threshold=20 --no-pager /mnt/{SERVE}")
    finally:
        box.check("systemctl disable --now denet-tui.service")
    box.check(f"rm -r {folder} {service.SYSTEMD}/denet-tui.service && systemctl daemon-reload")
