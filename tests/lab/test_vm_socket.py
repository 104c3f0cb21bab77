"""The everyday way on a stock Debian with systemd: the loader's socket, set up, used, abused and taken back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.lab import vm
from tests.lab.vm import Boot, Case

pytestmark = [pytest.mark.lab, pytest.mark.root]

_MEMBER = "cd /home/anna && runuser -u anna -- /opt/denet-tui/bin/python -I /mnt/member.py"
_LEFT = """
systemctl list-units --all --no-legend '*denet*'
find /run /sys/fs/cgroup /etc/systemd -name '*denet*'
getent group denet-trace || true
pgrep -fa '[d]enet_tui.bpf.loader' || true
"""
_LOADED = """
/opt/denet-tui/bin/python -I -c '
from denet_tui.checks.holders import programs
print(sorted((each.type, each.name) for each in programs() if not each.type.startswith("cgroup")))
'
pgrep -fa '[d]enet_tui.bpf.loader' || true
systemctl list-units --all --no-legend '*denet*'
"""
_STATE = """
systemctl is-active denet-tui-loader.socket
stat -c '%a %U:%G %n' /run/denet-tui /run/denet-tui/loader.socket
systemctl is-enabled denet-tui-loader.socket
"""
_BERT = """
rm -f /tmp/go /tmp/bert
install -m 600 -o bert /dev/null /home/bert/secret
echo the-password-of-bert > /home/bert/secret
runuser -u bert -- sh -c 'echo $$ > /tmp/bert; until [ -e /tmp/go ]; do sleep 0.2; done
    read secret < ~bert/secret; /bin/true "$secret"; exec sh -c "sleep 8; exit 7" "$secret"' &
until [ -s /tmp/bert ]; do sleep 0.2; done
"""
"""A process of somebody else's, which is told only later what nobody else may see, and then works and executes."""
CASE = Case(
    "socket",
    fixes=("PRIV-005.socket",),
    mends=("PRIV-005",),
    when_fixed={
        "state": _STATE,
        "before": _LOADED,
        "no member yet": "cd /home/anna && runuser -u anna -- denet-tui run --no-tui --no-sudo -- true",
        "joined": "cd /home/anna && runuser -u anna -- sudo denet-tui setup --only PRIV-006.join --yes",
        "an old login": "cd /home/anna && setpriv --reuid=anna --regid=anna --clear-groups -- "
        "denet-tui diag --json --only PRIV-006",
        "member": "cd /home/anna && runuser -u anna -- denet-tui run --no-tui --no-sudo --json -- sh -c 'id -un >&2'",
        "self-test": "cd /home/anna && runuser -u anna -- denet-tui selftest --json",
        "diag": "cd /home/anna && runuser -u anna -- denet-tui diag --json",
        "not a member": "cd /home/bert && runuser -u bert -- denet-tui run --no-tui -- true",
        "machine": "cd /home/anna && runuser -u anna -- denet-tui machine --no-tui --no-sudo",
        "others": f"{_BERT}{_MEMBER} others $(cat /tmp/bert) the-password-of-bert /tmp/go; wait || true",
        "storm": f"{_MEMBER} storm 900; sleep 15",
        "answered": f"{_MEMBER} answered 100",
        "hoard": f"{_MEMBER} hoard",
        "after the hoard": "sleep 5; cat /sys/fs/cgroup/denet_tui.slice/memory.current; "
        "cd /home/anna && runuser -u anna -- denet-tui selftest --json",
        "after": f"sleep 5; {_LOADED}",
        "state after": _STATE,
    },
    clean=_LEFT,
)


@pytest.fixture(scope="module", params=["6.1", "6.12"])
def seen(wheels: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All that one boot of a machine showed."""
    folder = tmp_path_factory.mktemp("socket")
    machines = vm.make(wheels)
    found = vm.boot(machines, Boot(request.param, (CASE,)), folder, seconds=3 * vm.STATE_S)
    assert "socket" in found, f"it never came to its end: see {folder}/console"
    assert "broken" not in found["socket"], found["socket"]["broken"]
    return found["socket"]


def said(seen: dict[str, Any], name: str, status: int = 0) -> str:
    """What a script printed, which must have ended like that."""
    done = seen["when_fixed"][name]
    assert done["status"] == status, done["stdout"] + done["stderr"]
    return str(done["stdout"])


def test_it_is_offered_set_up_and_proven_by_a_member(seen: dict[str, Any]) -> None:
    before = {each["id"]: each for each in json.loads(seen["diag"]["stdout"])["findings"]}
    assert before["PRIV-005"]["state"] == "skip"
    assert [each["id"] for each in before["PRIV-005"]["fixes"]] == ["PRIV-005.socket"]
    fixed = json.loads(seen["fixed"]["stdout"])
    assert (fixed["failed"], [each["id"] for each in fixed["applied"]]) == ([], ["PRIV-005.socket"])
    after = {each["id"]: each for each in fixed["verified"]}
    assert after["PRIV-005"]["state"] == "pass", after["PRIV-005"]
    assert "1,000 known calls counted exactly" in after["PRIV-005"]["title"]
    assert seen["changed_again"] == [], "applying again changes nothing"
    assert said(seen, "state").splitlines() == [
        "active",
        "755 root:root /run/denet-tui",
        "660 root:denet-trace /run/denet-tui/loader.socket",
        "enabled",
    ]


def test_a_member_counts_exactly_without_sudo(seen: dict[str, Any]) -> None:
    summary = json.loads(said(seen, "member").splitlines()[-1])
    assert summary["exact"] is True, summary["lost"]
    assert summary["syscalls"]["execve"]["calls"] >= 2, "sh and id"
    assert seen["when_fixed"]["member"]["stderr"].split()[0] == "anna"
    assert json.loads(said(seen, "self-test"))["exact"] is True
    found = json.loads(said(seen, "diag"))
    assert (found["ready"], found["ways"]["raw"]["verdict"]) == (True, "ready")
    assert found["next"]["command"][-4:] == ["denet-tui", "run", "--", "CMD"]
    states = {each["id"]: each["state"] for each in found["findings"]}
    assert {each: states[each] for each in ("PRIV-001", "PRIV-002", "PRIV-005", "PRIV-006")} == {
        "PRIV-001": "pass",
        "PRIV-002": "pass",
        "PRIV-005": "pass",
        "PRIV-006": "pass",
    }


@pytest.mark.parametrize("who", ["no member yet", "not a member"])
def test_who_is_no_member_is_refused_with_one_line_that_says_what_to_do(seen: dict[str, Any], who: str) -> None:
    assert said(seen, who, 125) == ""
    (line,) = seen["when_fixed"][who]["stderr"].splitlines()
    assert "gpasswd --add" in line
    assert "denet-trace" in line


def test_a_login_from_before_is_told_to_log_in_again(seen: dict[str, Any]) -> None:
    (found,) = json.loads(said(seen, "an old login"))["findings"]
    assert (found["state"], [each["id"] for each in found["fixes"]]) == ("warn", ["PRIV-006.login"])


def test_a_member_sees_nothing_of_another_users_processes(seen: dict[str, Any]) -> None:
    found = json.loads(said(seen, "others"))
    assert {"processes", "pid_syscall_map", "tasks", "slots"} <= set(found["maps"])
    assert found["seen"] == []
    assert said(seen, "machine", 125) == "", "the whole machine stays root's"


def test_a_thousand_connections_leave_neither_program_nor_process(seen: dict[str, Any]) -> None:
    assert json.loads(said(seen, "storm")) == {"connected": 900}
    found = json.loads(said(seen, "answered"))
    assert (found["loaded"], found["answered"]) == (10, 90), found
    assert found["most"] < found["limit"]
    assert said(seen, "after") == said(seen, "before")
    assert said(seen, "state after") == said(seen, "state"), "and the socket listens as before"


def test_what_members_hold_is_bounded_and_given_back(seen: dict[str, Any]) -> None:
    found = json.loads(said(seen, "hoard"))
    assert 3 <= found["held"] < 100, found
    assert found["most"] <= found["limit"]
    assert isinstance(found["said"], str)
    left, tested = said(seen, "after the hoard").splitlines()
    assert int(left) < found["most"] / 2
    assert json.loads(tested)["exact"] is True


def test_undo_leaves_nothing(seen: dict[str, Any]) -> None:
    assert seen["undo"]["status"] == 0, seen["undo"]["stderr"]
    assert seen["left"] == [], seen["undo"]["stderr"]
    assert seen["clean"]["stdout"] == ""
