"""What gives itself away by its form, wherever it stands: secrets that have a name, hosts, and addresses."""

from __future__ import annotations

import ipaddress
import re

SECRET, USER, HOST, ADDRESS, UUID, MAC = "<SECRET>", "<USER>", "<HOST>", "<IP>", "<UUID>", "<MAC>"

# Secrets

_NAME = r"""
    (?: (?:api|access|private) [ ] key
      | (?= [\w.-]*? (?:passw(?:or)?d|passphrase|passcode|pwd|secret|token|(?:api|access|private|auth)[_-]?key
                       |credential|session[_-]?id|signature|pass(?![a-z])|[_-]key(?![a-z])
                       |(?<![a-z])(?:pat|creds?|jwt|otp|pin)(?![a-z])) )
        [\w.-]++ )"""
"""A word with one of these in it. Nothing here backs up: a log may have words of any length."""
_QUOTED = rf"""(?: {SECRET}(?!\w) | "(?:[^"\\\n]|\\.)*+"? | '[^'\n]*+'? )"""
"""Or hidden already: hiding again changes nothing."""
_NAMED = tuple(
    re.compile(f"(?ix) ({name}) (?:{value})")
    for name, value in (
        (r"""(?<![\w-]) (?: (?:proxy-)?authorization | (?:set-)?cookie ) ["']? [ \t]*+ [=:] [ \t]*+""", r"\S.*"),
        (r"\b bearer [ \t]++", r"\S+"),
        (rf"""["'] {_NAME} =""", r"[^\n]+"),  # one word to a shell: there may be spaces in the secret
        (rf"""(?<![\w.-]) {_NAME} ["']? [ \t]*+ (?: => | := | = ) [ \t]*+""", rf"{_QUOTED}|\S+"),
        (rf"""(?<![\w./-]) {_NAME} ["']? [ \t]*+ : [ \t]*+""", rf"{_QUOTED}|\S.*"),  # not of /etc/passwd: …
        (rf"""(?<![\w.-]) (?=-) {_NAME} [ \t]++""", rf"{_QUOTED}|[^\s-]\S*"),
        (r"(?<!\S) -u [ \t=]*+ (?= [^\s:]++ : \S)", r"\S+"),  # curl
        (r"\b (?: sshpass [ \t]++ -p [ \t]*+ | (?: mysql|mysqldump|mysqladmin|mariadb ) [ \t]++ -p )", r"\S+"),
    )
)
_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)", re.DOTALL)
_TOKEN = re.compile(r"\b(?:A[KS]IA[0-9A-Z]{16}|gh[pousr]_\w{20,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*)\b")
"""Those of Amazon and GitHub, and JSON web tokens."""
_BEFORE_AT = re.compile(r"(?<!\S)\S+@(?=\S)")
_LOGIN = re.compile(r"://|(?<![\w.+-])[\w.+-]++:(?=[^/])")


def without_secrets(text: str) -> str:
    """The text with logins before an @, private keys, and values that are called password or the like, replaced."""
    text = _TOKEN.sub(SECRET, _KEY_BLOCK.sub(SECRET, text))
    for named in _NAMED:
        text = named.sub(rf"\1{SECRET}", text)
    return _BEFORE_AT.sub(_without_login, text)


def _without_login(found: re.Match[str]) -> str:
    """`ssh://<SECRET>@` for `ssh://user:password@`; up to the last @ of a word, as the password may have some."""
    login = _LOGIN.search(found[0])
    if not login:
        return found[0]
    return f"{found[0][: login.end() if login[0] == '://' else login.start()]}{SECRET}@"


# Hosts

_PUBLIC = frozenset({"docs.kernel.org", "man7.org", "github.com"})
"""What denet-tui's own texts refer to."""
_FILES = re.compile(
    "so|ko|py|sh|md|rs|cc|conf|jsonl?|txt|gz|xz|zst|log|toml|yaml|list|defs|rules|deb|rpm|whl|service|socket|mount|"
    "target|slice|scope|timer|path|procs|max|high|stat|capability"
)
"""What a name with a single dot ends with where it is a file, a unit of systemd, or an attribute of one."""
_OUR_OWN = re.compile(r"(?:PRIV|FS|KERN|BCC|LIM|NS|LEFT|OTHER|LOG|DRIFT|PROG|E2E)-\d{3}\.[a-z-]+|denet_tui\..*")
"""Ids of fixes, and modules."""
_DOTTED = re.compile(r"(?<![\w.%+-])([\w.%+-]+@)?((?:[\w-]+\.)+[^\W\d_]{2,})(?![\w-]|\.[\w-]|\+0x)")
_AFTER = re.compile(rf"(?<={SECRET}@)[\w.-]+|(?<=://)[\w.-]+")


def without_hosts(text: str) -> str:
    """The text with dotted names of hosts, hosts of URLs, and who stands before them with an @, replaced."""
    return _DOTTED.sub(_host, _AFTER.sub(lambda found: found[0] if found[0] in _PUBLIC else HOST, text))


def _host(found: re.Match[str]) -> str:
    who, name = found[1] or "", found[2]
    first, _, last = name.rpartition(".")
    is_file = _FILES.fullmatch(last) and ("." not in first or len(last) > 2)
    if is_file or name in _PUBLIC or _OUR_OWN.fullmatch(name):
        return found[0]
    return f"{USER}@{HOST}" if who else HOST


# Addresses

_UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
_OCTETS = r"[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5,}"
_MAC = re.compile(
    rf"(?<![\w:]){_OCTETS}(?!\w|:\w)|(?<![\w.])[0-9a-fA-F]{{4}}(?:\.[0-9a-fA-F]{{4}}){{2}}(?![\w.])"
    r"|(?<=\b(?:en|wl|ww)x)[0-9a-fA-F]{12}\b"  # in the name of an interface
)
_MAC_BESIDE = re.compile(rf"(?<![0-9a-zA-Z]){_OCTETS}(?![0-9a-zA-Z])")
"""With colons around it: only what is no part of an IPv6 address."""
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)")
_COLONS = re.compile(r"(?:(?<![\w:])\w*|(?=:))(?::\w*){2,64}")


def without_addresses(text: str) -> str:
    """The text with UUIDs, MAC and IP addresses replaced; loopback and unspecified addresses stay."""
    text = _MAC.sub(MAC, _UUID.sub(UUID, text))
    text = _IPV4.sub(lambda found: ADDRESS if _tells(found[0]) else found[0], text)
    return _MAC_BESIDE.sub(MAC, _COLONS.sub(lambda found: _without_ipv6(found[0]), text))


def _without_ipv6(word: str) -> str:
    """With the longest part between colons that is an address replaced, and so on: `src:fe80::1:` is `src:<IP>:`."""
    parts = word.split(":")
    longest = 9 if any(parts) else 0  # as many as `::` at an end makes of eight
    for size, at in ((n, at) for n in range(longest, 2, -1) for at in range(len(parts) - n + 1)):
        if _tells(":".join(parts[at : at + size])):
            before = "".join(f"{part}:" for part in parts[:at])
            after = "".join(f":{part}" for part in parts[at + size :])
            return _without_ipv6(before) + ADDRESS + _without_ipv6(after)
    return word


def _tells(word: str) -> bool:
    """Whether this is an address of somebody."""
    try:
        address = ipaddress.ip_address(word)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)
