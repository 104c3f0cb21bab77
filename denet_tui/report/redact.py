"""A twin of every text without what names a person, a machine or an address, for reports that are shared."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from denet_tui.checks.host import Host
from denet_tui.checks.model import Change, Evidence, Finding, Fix, RunCommand, WriteFile
from denet_tui.report.disguise import (
    ADDRESS,
    HOST,
    MAC,
    SECRET,
    USER,
    UUID,
    without_addresses,
    without_hosts,
    without_secrets,
)

HOME, ARGUMENT = "<HOME>", "<ARG>"
COVERED = (
    "Home folders, names of users and hosts, IP and MAC addresses, command arguments, and secrets that say what they "
    "are (password=, token=, user:password@ and the like) are replaced by placeholders."
)
NOT_COVERED = (
    "redacted; not covered: a secret that nothing names as one, names of files and projects, hosts without a dot"
)
"""What a report says of itself; the second in its first line."""

_FIRST_PERSON_UID = 1000
"""Lower ids are services, by the convention of login.defs (UID_MIN); 65534 is nobody."""
_SAYS_NOTHING = frozenset(
    {"", "root", "nobody", "localhost", "(none)", "linux"}
    | {each.strip("<>").lower() for each in (ADDRESS, ARGUMENT, HOME, HOST, MAC, SECRET, USER, UUID)}
)
"""Names nobody; the placeholders' own words are among them, so that a placeholder is never replaced again."""
_SHORT = 4
"""Names shorter than that are only replaced where they stand alone: `al` is in `kernel.unprivileged…` by chance."""

_ROUNDS = 8
"""A placeholder may set free what stood beside the word that it replaces; twice is nearly always enough."""
_NOTHING = re.compile(r"(?!)")
_ANY_HOME = re.compile(r"/(?:home|Users)/+[^/\s'\":,;)]+|(?<![\w./<>-])/root(?![\w-])")


@dataclass(frozen=True, slots=True)
class Secrets:
    """What must not be in a shared text."""

    homes: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    def redact(self, text: str) -> str:
        """The text with placeholders; applying it again changes nothing."""
        for _ in range(_ROUNDS):
            shown = self._once(text)
            if shown == text:
                break
            text = shown
        return text

    def _once(self, text: str) -> str:
        text = without_secrets(text)
        text = _ANY_HOME.sub(HOME, _names(self.homes, alone=False).sub(HOME, text))
        for names, placeholder in ((self.hosts, HOST), (self.users, USER)):
            text = _names((name for name in names if len(name) >= _SHORT), alone=False).sub(placeholder, text)
            text = _names((name for name in names if len(name) < _SHORT), alone=True).sub(placeholder, text)
        return without_addresses(without_hosts(text))

    def argv(self, words: Iterable[str], keep: int = 1) -> list[str]:
        """A command line: the first words and all options stay, every other word becomes a placeholder."""
        known = [self.redact(word) for word in words]
        rest = (word.partition("=")[0] if word.startswith("-") else ARGUMENT for word in known[keep:])
        return [*known[:keep], *rest]

    def finding(self, finding: Finding) -> Finding:
        """The redacted twin of a finding."""
        return dataclasses.replace(
            finding,
            title=self.redact(finding.title),
            evidence=tuple(self._evidence(each) for each in finding.evidence),
            why=self.redact(finding.why),
            fixes=tuple(self._fix(fix) for fix in finding.fixes),
        )

    def _evidence(self, evidence: Evidence) -> Evidence:
        value = evidence.value
        if re.search(r"/proc/[^/]+/cmdline$", evidence.source):
            value = " ".join(self.argv(value.replace("\0", " ").split()))
        return Evidence(self.redact(evidence.source), self.redact(value))

    def _fix(self, fix: Fix) -> Fix:
        return dataclasses.replace(
            fix,
            title=self.redact(fix.title),
            changes=tuple(self._change(change) for change in fix.changes),
            undo=self.redact(fix.undo),
            weakens=self.redact(fix.weakens),
            advice=self.redact(fix.advice),
        )

    def _change(self, change: Change) -> Change:
        if isinstance(change, RunCommand):
            undo = None if change.undo is None else tuple(map(self.redact, change.undo))
            return dataclasses.replace(change, argv=tuple(map(self.redact, change.argv)), undo=undo)
        if isinstance(change, WriteFile):
            text = None if change.text is None else self.redact(change.text)
            return dataclasses.replace(change, path=self.redact(change.path), text=text)
        return dataclasses.replace(change, path=self.redact(change.path), value=self.redact(change.value))


def secrets_of(host: Host, users: Iterable[tuple[str, str]] = ()) -> Secrets:
    """The people and names of a machine (/etc/passwd, its host name), and these (name, home) beside them."""
    people = [*users, *_people(host.text("/etc/passwd") or "")]
    release = re.search(r"^ID=\"?([\w.-]+)", (host.text("/etc/os-release") or ""), re.MULTILINE)
    common = {release[1].lower()} if release else set()  # the user `debian` of a Debian cloud image tells nothing
    hosts: set[str] = set()
    for path in ("/proc/sys/kernel/hostname", "/etc/hostname"):
        name = (host.text(path) or "").strip()
        first, _, domain = name.partition(".")
        hosts |= {name, first, domain}
    return Secrets(
        homes=_telling((home.rstrip("/") for _, home in people if len(PurePosixPath(home).parts) > 1), common),
        users=_telling((name for name, _ in people), common),
        hosts=_telling(hosts, common),
    )


def _people(passwd: str) -> list[tuple[str, str]]:
    found = []
    for line in passwd.splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and fields[2].isdecimal() and _FIRST_PERSON_UID <= int(fields[2][:12]) != 65534:
            found.append((fields[0], fields[5]))
    return found


def _telling(names: Iterable[str], common: set[str]) -> tuple[str, ...]:
    nothing = _SAYS_NOTHING | common | {"/root", "/nonexistent", "/home"}
    return tuple(sorted({name for name in names if name.lower() not in nothing}, key=lambda name: (-len(name), name)))


def _names(names: Iterable[str], *, alone: bool) -> re.Pattern[str]:
    """Matches any of the names, the longest first; only where they stand alone, or anywhere."""
    words = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    if not words:
        return _NOTHING
    return re.compile(rf"(?<![^\W_])(?:{words})(?![^\W_])" if alone else words, re.IGNORECASE)
