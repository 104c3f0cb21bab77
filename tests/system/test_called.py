"""How denet-tui is called as root, and by which way one becomes that."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path

import pytest

from denet_tui.system import called
from tests.person import Person

LOOK = """
import sys
from denet_tui.system import called
called._LOCAL = sys.argv[1]
print(called.why_no_way())
print(called._program("denet-tui"))
"""


def test_where_there_is_no_sudo_another_way_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(called, "_FOLDERS", (str(tmp_path),))
    monkeypatch.setattr(called, "_BUS", str(tmp_path / "bus"))
    monkeypatch.setattr(called, "BOOTED", str(tmp_path / "systemd"))
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
    assert called.way_up() == str(tmp_path / "pkexec"), "run0 asks systemd"
    (tmp_path / "systemd").touch()
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
    refused = subprocess.run(nobody, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert refused.stdout.splitlines()[0] == "sudo does not let you run it"
    told = {words: _of_nobody(*words.split()) for words in ("setup", "explain EPERM", "diag --only PRIV-001")}
    assert "gpasswd --add nobody denet-trace" in told["setup"] or "run --user nobody" in told["setup"], told
    for words, said in told.items():
        assert "administrator" in said, words
        assert "run denet-tui with sudo" not in said, words
        assert not re.search(r"^(?!  also:).*\bsudo .*denet-tui", said, re.MULTILINE), words
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
@pytest.mark.slow
def test_root_is_sent_to_no_copy_that_others_can_change(person: Person) -> None:
    copy = person.home / "copy"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", copy], check=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(copy)})
    repository = Path(__file__).parents[2]
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
        (f"permit {{}} cmd {sys.prefix}/bin/denet-tui\\n", True),
        ("permit {} cmd denet-tui\\n", False),  # which is called by its path here, and doas compares what is typed
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


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.parametrize(
    ("rule", "mine"),
    [("NOPASSWD: /usr/bin/id", False), ("NOPASSWD: {denet}", True), ("NOPASSWD: {denet} run *", True)],
)
def test_what_counts_is_whether_a_rule_of_sudo_is_for_denet_tui(person: Person, rule: str, *, mine: bool) -> None:
    """Another program's is as good as none; one for denet-tui alone is none for the loader by itself."""
    denet, rules = f"{sys.prefix}/bin/denet-tui", Path("/etc/sudoers.d") / person.name
    words = ("run --no-tui -- true", "setup", "diag --only PRIV-001", "explain EPERM", "setup --undo")
    script = "".join(f"{denet} {each} 2>&1; echo ======\n" for each in words)
    free = rules.read_text()
    try:
        rules.write_text(f"{person.name} ALL=(ALL) {rule.format(denet=denet)}\n")
        # At a terminal, where sudo would be asked for the loader: that must not end in a question.
        at_terminal = person.shell(f"script -qec '{denet} run --no-tui -- true' /dev/null")
        said = person.shell(script).stdout.split("======\n")
        advised = person.shell(f"sudo {denet} run --no-tui -- true")
    finally:
        rules.write_text(free)
    assert "password" not in at_terminal.stdout
    again = f"run `sudo {denet} run --no-tui -- true`"
    assert (again in at_terminal.stdout) is (again in said[0]) is mine, at_terminal.stdout + said[0]
    assert ("sudo does not let you" in said[0]) is not mine, said[0]
    assert "exact" in advised.stderr if mine else "exact" not in advised.stderr
    if not mine:
        assert "run --user" in said[1] or "gpasswd --add" in said[1], said[1]
        for each in said:
            assert not re.search(r"^(?!  also:).*\bsudo \S*denet", each, re.MULTILINE), each
            assert "administrator" in each or each in (said[1], "")


@pytest.mark.root
def test_whom_sudo_refuses_after_the_password_is_told_so(person: Person) -> None:
    """Without the password it tells nobody what the rules are for; setup asks for it first, and then looks."""
    denet, rules = f"{sys.prefix}/bin/denet-tui", Path("/etc/sudoers.d") / person.name
    subprocess.run(["chpasswd"], input=f"{person.name}:secret\n", text=True, check=True)
    (person.home / "script.py").write_text(
        'from denet_tui.helper import sudo; print(sudo.password(sudo.as_root("setup")))'
    )
    free = rules.read_text()
    try:
        rules.write_text(f"{person.name} ALL=(ALL) {denet}\n")
        watched = at_its_terminal(person, f"{denet} run --no-tui -- true")
        rules.write_text(f"{person.name} ALL=(ALL) /usr/bin/id\n")
        setup = at_its_terminal(person, f"{sys.executable} {person.home}/script.py")
    finally:
        rules.write_text(free)
    assert f"does not let you run the loader; perhaps it lets you run `sudo {denet} run --no-tui -- true`" in watched
    assert f"sudo does not let you run `{sys.executable} -I -m denet_tui setup` as root" in setup


def at_its_terminal(person: Person, command: str) -> str:
    """The last line of what it says, and sudo for it, which is given the password."""
    argv = person.argv(command)
    pid, terminal = pty.fork()
    if not pid:
        os.execvp(argv[0], argv)
    said = b""
    with suppress(OSError):  # its end
        while got := os.read(terminal, 4096):
            said += got
            if said.endswith(f"password for {person.name}: ".encode()):
                os.write(terminal, b"secret\n")
    os.waitpid(pid, 0)
    os.close(terminal)
    return said.decode().splitlines()[-1]
