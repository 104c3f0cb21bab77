"""How denet-tui is called as root, and by which way one becomes that."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from denet_tui import called
from tests.person import Person

LOOK = """
import sys
from denet_tui import called
called._LOCAL = sys.argv[1]
print(called.why_no_way())
print(called._program("denet-tui"))
"""


def test_where_there_is_no_sudo_another_way_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(called, "_FOLDERS", (str(tmp_path),))
    monkeypatch.setattr(called, "_BUS", str(tmp_path / "bus"))
    monkeypatch.setattr(called, "_DOAS_RULES", (str(tmp_path / "doas.conf"),))
    assert called.way_up() == ""
    for name in ("pkexec", "run0", "doas", "sudo"):
        (tmp_path / name).touch(mode=0o755)
    assert called.way_up() == str(tmp_path / "sudo")
    (tmp_path / "sudo").unlink()
    (tmp_path / "doas.conf").touch()
    assert called.way_up() == str(tmp_path / "doas")
    (tmp_path / "doas").unlink()
    assert called.way_up() == "", "these two ask through the bus"
    (tmp_path / "bus").touch()
    assert called.becoming_root(called.way_up(), "true") == (str(tmp_path / "run0"), "--background=", "true")


def _of_nobody(*words: str, python: str = sys.executable) -> str:
    """What denet-tui says to a user whom no rule of sudo names."""
    argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", python, "-IB", "-m", "denet_tui"]
    done = subprocess.run([*argv, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return done.stdout + done.stderr


@pytest.mark.root
def test_sudo_itself_says_whom_it_lets_and_where_it_looks(person: Person) -> None:
    """Asked for no password: a user whom no rule names is refused, and the last secure_path holds."""
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", LOOK, "/nowhere"]
    refused = subprocess.run(nobody, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    assert refused.stdout.splitlines()[0] == "sudo does not let you: you are none of this machine's administrators"
    told = {words: _of_nobody(*words.split()) for words in ("setup", "explain EPERM", "diag --only PRIV-001")}
    assert "gpasswd --add nobody denet-trace" in told["setup"] or "run --user nobody" in told["setup"], told
    for words, said in told.items():
        assert "administrator" in said, words
        assert "run denet-tui with sudo" not in said, words
        assert "sudo denet-tui" not in said or words == "explain EPERM", "that has the guide's own page, too"
    folder, rule = person.home / "local", Path("/etc/sudoers.d") / person.name
    folder.mkdir()
    (folder / "denet-tui").touch(mode=0o755)
    free = rule.read_text()
    try:
        for path, name in ((f"{folder}\\:/bin", "denet-tui"), ("/usr/bin\\:/bin", f"{folder}/denet-tui")):
            rule.write_text(f"{free}Defaults:{person.name} secure_path={path}\n")
            done = person.shell('"$1" -c "$2" "$3"', sys.executable, LOOK, str(folder), PATH=f"{folder}:/usr/bin:/bin")
            assert done.stdout.splitlines() == ["", name], done.stderr
    finally:
        rule.write_text(free)


@pytest.mark.root
def test_root_is_sent_to_no_copy_that_others_can_change(person: Person) -> None:
    copy = person.home / "copy"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", copy], check=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(copy)})
    repository = Path(__file__).parent.parent
    Path(packages, "denet.pth").write_text(f"{repository}\n{sysconfig.get_path('purelib')}\n")
    person.home.chmod(0o755)
    for owner, mode, unsafe in ((65534, 0o755, True), (0, 0o777, True), (0, 0o755, False)):
        copy.chmod(mode)
        os.chown(copy, owner, owner)
        diag, setup = (_of_nobody(*words, python=f"{copy}/bin/python") for words in (("diag",), ("setup",)))
        asked = diag[diag.index("Ask an administrator of this machine to ") :]
        installed = "/opt/denet-tui/bin/denet-tui "
        assert (installed in asked) is (installed in setup) is unsafe, (owner, mode)
        assert ("make install" in asked) is ("make install" in setup) is unsafe, (owner, mode)


@pytest.mark.root
@pytest.mark.parametrize("words", ["explain PRIV-001", "explain EPERM", "diag --only PRIV-001", "setup --plan"])
def test_what_is_advised_is_found_by_sudo(person: Person, words: str) -> None:
    path = f"{sys.prefix}/bin/denet-tui"
    said = person.shell(f"{path} {words}").stdout
    assert f"sudo {path} " in said.replace("\n        ", " ")
    assert "sudo denet-tui" not in said


def test_a_copy_in_a_virtual_environment_is_called_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / ".venv/bin/denet-tui"
    copy.parent.mkdir(parents=True)
    copy.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{copy.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(sys, "argv", ["denet-tui"])
    called._program.cache_clear()
    try:
        assert called.program() == str(copy)
    finally:
        called._program.cache_clear()


RULES = """
cp -a /etc "$1/etc" && mount --bind "$1/etc" /etc || exit 99
rm -f /etc/doas.conf
printf "$2" > /etc/rules && chmod 400 /etc/rules
[ -z "$2" ] || mv /etc/rules /etc/doas.conf
shift 2
exec "$@"
"""
"""In a mount namespace: these rules of doas, or none."""
HIDDEN = "mount --bind /dev/null /usr/bin/sudo && mount -t tmpfs tmpfs /run/dbus 2> /dev/null;"


@pytest.mark.root
@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        ("", False),
        ("permit nopass root\\n", False),
        ("permit nopass {}\\n", True),
        ("permit {}\\n", True),
        ("permit {} cmd denet-tui\\n", True),
    ],
)
def test_only_where_a_rule_of_doas_lets_this_user_it_is_a_way(
    person: Person, tmp_path: Path, rules: str, *, allowed: bool
) -> None:
    if not shutil.which("doas"):
        pytest.skip("needs doas (Debian: opendoas)")
    words = ("run --no-tui -- true", "setup", "diag", "diag --only PRIV-001,PRIV-005", "setup --plan", "explain EPERM")
    script = "; ".join(f"$denet {each} < /dev/null 2>&1; echo ======" for each in words)
    within = ["unshare", "--mount", "sh", "-c", HIDDEN + RULES, "sh", tmp_path, rules.format(person.name)]
    done = subprocess.run([*within, *person.argv(script)], capture_output=True, text=True, check=False)
    said = done.stdout.split("======\n")
    assert len(said) == len(words) + 1, done.stderr
    assert ("run `doas /" if allowed else "doas does not let you") in said[0]
    assert said[0].count("\n") == 1
    assert ("gpasswd --add" in said[1] or "run --user" in said[1]) is not allowed, said[1]
    assert ("sk an administrator" in said[2]) is not allowed, said[2]
    lines = done.stdout.splitlines()
    assert [line for line in lines if "also:" not in line and re.search(r"(?<!no-)\bsudo\b", line)] == []
