"""What the commands of fixes change, read before and after, so that they run once and are taken back exactly.

Only programs listed in EFFECTS are ever run: of any other it could not be said what it changed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath
from typing import Any

from denet_tui.checks.host import Host, mode_of, owners, program

Argv = tuple[str, ...]
_ANEW = frozenset({"--reinstall", "reinstall", "--force", "fix"})
"""Words by which package managers install what is there already."""
FOLDERS = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")


def _is_anew(argv: Argv) -> bool:
    """Whether packages are put there again even if they are there; pacman does so unless it is told --needed."""
    return bool(_ANEW & set(argv)) or (argv[0].endswith("/pacman") and "--needed" not in argv)


class EffectError(Exception):
    """What a command changed cannot be told or taken back; the text says why."""


@dataclass(frozen=True, slots=True)
class Effect:
    """A kind of command. The state that it reads goes through the journal, so it is JSON."""

    volatile: bool = False
    """Whether a reboot takes it back by itself."""
    reload: bool = False
    """Whether the command makes a service read files again: also after they were taken back."""

    def state(self, host: Host, argv: Argv) -> Any:  # noqa: ARG002
        """What the command would change, as it is now; raises EffectError."""
        return None

    def there(self, host: Host, argv: Argv, state: Any) -> bool:  # noqa: ARG002
        """Whether the command has nothing left to do."""
        return False

    def ours(self, old: Any, seen: Any, now: Any) -> bool:  # noqa: ARG002
        """Whether what is there now is still what the command left."""
        return bool(seen == now)

    def back(self, host: Host, argv: Argv, undo: Argv | None, mine: Any, *, cut_off: bool) -> list[Argv]:  # noqa: ARG002
        """Commands that take it back (`mine` is what `left` says); raises EffectError where there are none."""
        if undo is None:
            raise EffectError(f"{' '.join(argv)} cannot be taken back by itself")
        return [undo]

    def left(self, old: Any, seen: Any, now: Any) -> Any:  # noqa: ARG002
        """What is still there of what the command did, nothing (false) where it is as before; `seen` None: cut off."""
        return None if old == now else {"now": now}


@dataclass(frozen=True, slots=True)
class Reload(Effect):
    """Changes nothing itself: a service reads its files again."""

    reload: bool = True


@dataclass(frozen=True, slots=True)
class Mounting(Effect):
    """mount and umount: the mounts on one point, and for tracefs and debugfs who may enter."""

    volatile: bool = True

    def state(self, host: Host, argv: Argv) -> Any:
        """Mounts on the point, the topmost last, with the modes and owners of its root and, in tracefs, below it.

        mode=, uid= and gid= are not among the options: a remount leaves them listed for ever, whatever is so.
        """
        point = _point(argv)
        try:
            found = [[m.kind, sorted(m.options), _settled(m.super_options)] for m in host.mounts() if m.point == point]
        except OSError as error:
            raise EffectError(f"/proc/self/mountinfo: {error.strerror}") from None
        if not found:
            return None
        try:
            root = host.stat(point)
        except OSError as error:
            raise EffectError(f"{point}: {error.strerror}") from None
        below = sorted(owners(host, point)) if found[-1][0] == "tracefs" else []
        return {"mounts": found, "root": [mode_of(root), root.st_uid, root.st_gid], "below": below}

    def left(self, old: Any, seen: Any, now: Any) -> Any:  # noqa: ARG002
        """What of it is not as before."""
        if old is None or now is None:
            return now or old
        return {name: now[name] for name in now if now[name] != old[name]}

    def there(self, host: Host, argv: Argv, state: Any) -> bool:
        """Mounted with that type; for a remount, with each of its options; for umount, nothing mounted."""
        if PurePath(argv[0]).name == "umount":
            return state is None
        if state is None:
            return False
        options = [word for flag, words in pairwise(argv) if flag == "-o" for word in words.split(",")]
        kind = next((word for flag, word in pairwise(argv) if flag == "-t"), None)
        if "remount" not in options:
            return bool(kind == state["mounts"][-1][0])
        return all(_holds(host, option, state) for option in options if option != "remount")


_SHOWN = frozenset({"mode", "uid", "gid"})


def _settled(options: Sequence[str]) -> list[str]:
    return sorted(option for option in options if option.partition("=")[0] not in _SHOWN)


def _point(argv: Argv) -> str:
    point = argv[-1]
    if len(argv) < 2 or not point.startswith("/"):
        raise EffectError(f"{' '.join(argv)}: the mount point must come last")
    return point


def _holds(host: Host, option: str, state: Any) -> bool:
    name, _, value = option.partition("=")
    mode, uid, gid = state["root"]
    _, options, supers = state["mounts"][-1]
    if name == "mode":
        return bool(int(value, 8) == mode)
    if name in ("uid", "gid"):
        file = "/etc/passwd" if name == "uid" else "/etc/group"
        number = value if value.isdecimal() else _entry(host, file, value)[2]
        return str(uid if name == "uid" else gid) == number
    return option in options or option in supers


def _entry(host: Host, path: str, name: str) -> list[str]:
    """Fields of a line of passwd or group; empty ones where the name is not there."""
    try:
        lines = host.read(path).splitlines()
    except OSError as error:
        raise EffectError(f"{path}: {error.strerror}") from None
    return next((line.split(":") for line in lines if line.startswith(f"{name}:")), ["", "", "", ""])


@dataclass(frozen=True, slots=True)
class Packages(Effect):
    """A package manager: which packages are installed. Only what was not there before is ever removed."""

    listing: Argv = ()
    remove: Argv = ()
    """Program and options that remove the packages named after them, with their configuration."""
    mend: Argv = ()
    """Brings an installation that was cut off to an end, before anything is removed."""

    def state(self, host: Host, argv: Argv) -> Any:
        """Installed packages, sorted; a half-installed one is one."""
        program = _beside(host, argv, self.listing[0])
        done = host.run([program, *self.listing[1:]], seconds=60)
        if done.status:
            raise EffectError(f"{self.listing[0]} does not list the packages: {done.stderr.strip()[:200]}")
        lines = (line.split() for line in done.stdout.splitlines())
        return sorted({words[0] for words in lines if words and words[-1] not in ("not-installed", "config-files")})

    def there(self, host: Host, argv: Argv, state: Any) -> bool:  # noqa: ARG002
        """Whether all packages that are asked for are there; never where they are to be put there anew."""
        return not _is_anew(argv) and all(
            name in {each.partition(":")[0] for each in state} for name in wanted_packages(argv)
        )

    def ours(self, old: Any, seen: Any, now: Any) -> bool:  # noqa: ARG002
        """Whatever else was installed since: what came with this command is known by name."""
        return True

    def left(self, old: Any, seen: Any, now: Any) -> Any:
        """Packages that came with the command and are still there."""
        return sorted((set(now if seen is None else seen) - set(old)) & set(now))

    def back(self, host: Host, argv: Argv, undo: Argv | None, mine: Any, *, cut_off: bool) -> list[Argv]:  # noqa: ARG002
        """Remove them by the tool that refuses where a package that somebody installed since needs one of them."""
        mend = [(_beside(host, argv, self.mend[0]), *self.mend[1:])] if self.mend and cut_off else []
        return [*mend, (_beside(host, argv, self.remove[0]), *self.remove[1:], *mine)]


def _beside(host: Host, argv: Argv, name: str) -> str:
    """Another program of the same package manager: where this one is, else anywhere."""
    path = f"{PurePath(argv[0]).parent}/{name}"
    return path if host.access(path, os.X_OK) else program(host, name) or path


def wanted_packages(argv: Argv) -> list[str]:
    """Package names on the command line of a package manager: the words after its verb that are no options."""
    verbs = [
        index
        for index, word in enumerate(argv)
        if word in ("install", "add", "in", "reinstall", "fix") or word.startswith("-S")
    ]
    return [word for word in argv[verbs[0] + 1 :] if not word.startswith("-")] if verbs else []


@dataclass(frozen=True, slots=True)
class Group(Effect):
    """groupadd, groupdel, usermod, gpasswd: a line of /etc/group."""

    def state(self, host: Host, argv: Argv) -> Any:
        """Fields of the group's line, its number left out: a new group gets a new one."""
        fields = _entry(host, "/etc/group", _group(argv))
        return [fields[0], sorted(filter(None, fields[3].split(",")))] if fields[0] else None

    def there(self, host: Host, argv: Argv, state: Any) -> bool:  # noqa: ARG002
        """Whether the group exists, is gone, or has the member: what the program is for."""
        match PurePath(argv[0]).name:
            case "groupadd":
                return state is not None
            case "groupdel":
                return state is None
            case _:
                return state is not None and not {"-d", "--delete"} & set(argv) and _member(argv) in state[1]


def _group(argv: Argv) -> str:
    """Its name, by the program: gpasswd -a USER GROUP; usermod -aG GROUP USER; groupadd [options] GROUP."""
    return argv[-2] if PurePath(argv[0]).name == "usermod" else argv[-1]


def _member(argv: Argv) -> str:
    return argv[-1] if PurePath(argv[0]).name == "usermod" else argv[-2]


@dataclass(frozen=True, slots=True)
class Units(Effect):
    """systemctl enable, disable, start, stop, mask: whether each unit is enabled and active."""

    def state(self, host: Host, argv: Argv) -> Any:
        """The two words of systemctl for each unit; one that has failed does not run either."""
        units = [word for word in argv[2:] if not word.startswith("-")]
        return [
            [
                host.run([argv[0], ask, unit]).stdout.strip().replace("failed", "inactive")
                for ask in ("is-enabled", "is-active")
            ]
            for unit in units
        ]

    def ours(self, old: Any, seen: Any, now: Any) -> bool:  # noqa: ARG002
        """Whether they are enabled as the command left them: units end by themselves, too."""
        return [each[0] for each in seen] == [each[0] for each in now]

    def there(self, host: Host, argv: Argv, state: Any) -> bool:  # noqa: ARG002
        """Whether every unit is what the verb makes it, and with --now runs, or does not."""
        fitting, runs = _VERBS.get(argv[1], ((), None))
        runs = argv[1] == "enable" if "--now" in argv else runs
        return bool(state) and all(
            is_enabled.startswith(fitting) and (runs is None or (is_active == "active") == runs)
            for is_enabled, is_active in state
        )


_VERBS: dict[str, tuple[tuple[str, ...], bool | None]] = {
    "start": (("",), True),
    "stop": (("",), False),
    "enable": (("enabled",), None),
    "disable": (("disabled", "static", "not-found"), None),
    "mask": (("masked",), None),
    "unmask": (("enabled", "disabled", "static", "generated", "alias", "indirect"), None),
}
"""By verb of systemctl: words of `systemctl is-enabled` that mean there is nothing to do, and whether it runs then."""


@dataclass(frozen=True, slots=True)
class Capabilities(Effect):
    """setcap: the capabilities of a file (security.capability, man 7 capabilities)."""

    def state(self, host: Host, argv: Argv) -> Any:
        """The attribute in hexadecimal, empty where there is none."""
        try:
            return host.capability_attribute(argv[-1]).hex()
        except OSError:
            return ""

    def there(self, host: Host, argv: Argv, state: Any) -> bool:  # noqa: ARG002
        """Whether they are to be removed, and there are none."""
        return "-r" in argv and not state


_RELOADS = {"daemon-reload", "daemon-reexec"}
_APT = Packages(
    listing=("dpkg-query", "-W", "-f=${Package}:${Architecture} ${db:Status-Status}\\n"),
    remove=("dpkg", "--purge"),
    mend=("dpkg", "--configure", "-a"),
)
_RPM = ("rpm", "-qa", "--qf", "%{NAME}\\n")
EFFECTS: dict[str, Effect] = {
    "mount": Mounting(),
    "umount": Mounting(),
    "apt-get": _APT,
    "dnf": Packages(listing=_RPM, remove=("rpm", "-e")),
    "zypper": Packages(listing=_RPM, remove=("rpm", "-e")),
    "pacman": Packages(listing=("pacman", "-Qq"), remove=("pacman", "-Rn", "--noconfirm")),
    "apk": Packages(listing=("apk", "info"), remove=("apk", "del")),
    "groupadd": Group(),
    "groupdel": Group(),
    "usermod": Group(),
    "gpasswd": Group(),
    "setcap": Capabilities(),
    "systemctl": Units(),
    "udevadm": Reload(),
    "sysctl": Reload(),
}


def effect_of(argv: Sequence[str]) -> Effect:
    """How to tell what a command changes; raises EffectError where that cannot be told."""
    name = PurePath(argv[0]).name
    if name == "systemctl" and len(argv) > 1 and argv[1] in _RELOADS:
        return Reload()
    if name == "sysctl" and list(argv[1:]) != ["--system"]:
        raise EffectError("sysctl is run with --system only; a value is set in its file")
    if name not in EFFECTS:
        raise EffectError(f"{argv[0]} is not a program whose effects denet-tui can tell and take back")
    return EFFECTS[name]
