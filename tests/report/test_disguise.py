"""What is hidden by its form in a report: secrets that have a name, hosts, addresses; nothing of them remains."""

from __future__ import annotations

import ipaddress
import re
import string

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from denet_tui.checks.leftovers import check_log
from denet_tui.checks.model import State
from denet_tui.repair.next_step import NextStep
from denet_tui.report import redact, report
from denet_tui.report.disguise import HOST, MAC, SECRET
from denet_tui.report.redact import Secrets
from denet_tui.report.report import Report
from tests.checks.fake import FakeHost

hidden = Secrets().redact

VALUE = st.text(string.ascii_letters + string.digits + "!#$%&()*+,-./:;<=>?@[]^_`{|}~\\", min_size=6, max_size=20)
ANY = st.text(st.characters(codec="utf-8", exclude_characters="\n'\"\\"), min_size=6, max_size=20)
LABEL = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True)
TLD = st.sampled_from(["com", "org", "internal", "lan", "de", "corp", "museum", "example"])
KEYS = st.sampled_from(
    ["password", "PASSWORD", "db_passwd", "MYSQL_PWD", "token", "GITHUB_TOKEN", "client-secret", "api_key", "apiKey",
     "X-Api-Key", "aws_secret_access_key", "private_key", "--password", "--auth-token", "passphrase"]
)  # fmt: skip
AROUND = st.sampled_from(
    ["", "x ", "[  12.5] denet-tui[7]: ", "a=b ", '{"k": 1, ', "curl ", "/usr/bin/x ", "https://a/b?"]
)


def remains(secret: str, shown: str) -> bool:
    """Whether any five characters of it are still there."""
    shown = re.sub(r"<[A-Z]+>", "\0", shown)
    return any(secret[at : at + 5] in shown for at in range(max(1, len(secret) - 4)))


@given(AROUND, KEYS, st.sampled_from(["=", " = ", ":", ": ", "=>", " => ", ":="]), VALUE)
@example("", "password", "=", "hunter2,comma")
@example("curl ", "token", ": ", "two words")
def test_nothing_of_a_named_secret_remains(before: str, key: str, separator: str, value: str) -> None:
    assume(not remains(value, before + key))
    shown = hidden(f"{before}{key}{separator}{value}")
    assert not remains(value, shown), shown
    assert SECRET in shown


@given(AROUND, KEYS, st.sampled_from("'\""), ANY, st.sampled_from(["=", ": ", '": ']))
def test_nothing_of_a_quoted_secret_remains(before: str, key: str, quote: str, value: str, separator: str) -> None:
    assume(not remains(value, before + key))
    assert not remains(value, hidden(f"{before}{key}{separator}{quote}{value}{quote} after"))
    assert not remains(value, hidden(f"{before}{quote}--{key.strip('-')}={value}{quote}"))


@given(AROUND, st.sampled_from(["https", "ssh", "git+https", "postgresql"]), LABEL, VALUE, LABEL, TLD)
def test_nothing_of_a_login_remains(before: str, scheme: str, user: str, value: str, host: str, tld: str) -> None:
    shown = hidden(f"{before}{scheme}://{user}:{value}@{host}.{tld}:443/path")
    assume(not remains(value, f"{before}{scheme}://:443/path"))
    assert not remains(value, shown)
    assert f"{host}.{tld}" not in shown


@pytest.mark.parametrize("line", ["curl -u bob:{} https://x", "sshpass -p {} ssh x", "mysql -p{} db", "x -ubob:{}"])
def test_nothing_of_a_secret_behind_a_letter_remains(line: str) -> None:
    assert not remains("hunter2", hidden(line.format("hunter2")))
    assert hidden("useradd -u 1000 x; mkdir -p a/b") == "useradd -u 1000 x; mkdir -p a/b"


@given(st.sampled_from(["Authorization: ", "authorization:", "Proxy-Authorization: ", "'Authorization: ", "Cookie: "]),
       st.sampled_from(["Bearer ", "Basic ", "", "Digest username="]), VALUE)  # fmt: skip
def test_nothing_of_a_header_remains(header: str, kind: str, value: str) -> None:
    assume(not remains(value, header + kind))
    assert not remains(value, hidden(f"GET / {header}{kind}{value}\nHost: x"))


@given(
    st.lists(LABEL, min_size=1, max_size=4), TLD, st.sampled_from(["{}", "{}.", "({})", "{}:53", "x={}", "//{}/share"])
)
@example(["db01", "corp"], "internal", "server={},ok")
def test_no_dotted_host_remains(labels: list[str], tld: str, around: str) -> None:
    name = ".".join([*labels, tld])
    shown = hidden(around.format(name))
    assert name not in shown
    assert HOST in shown


@given(st.binary(min_size=6, max_size=6), st.sampled_from(":-"), st.booleans(),
       st.sampled_from(["{}", "link {}: up", "MAC={}:08:00 SRC=", "addr:{}", "eth0-{}", "({})", "{}\n"]))  # fmt: skip
def test_no_mac_address_remains(octets: bytes, separator: str, upper: bool, around: str) -> None:
    address = octets.hex(separator)
    shown = hidden(around.format(address.upper() if upper else address))
    assert address.lower() not in shown.lower()
    assert MAC in shown


@given(
    st.ip_addresses(v=6),
    st.sampled_from(["{}", "{}: unreachable", "src:{}", "[{}]:80", "SRC={} DST=", "{}%eth0", "{}/64"]),
)
def test_no_ipv6_address_remains(address: ipaddress.IPv6Address, around: str) -> None:
    assume(not address.is_loopback and not address.is_unspecified)
    for text in (str(address), address.exploded):
        assert text not in hidden(around.format(text))


PIECES = st.sampled_from(
    ["password", "token", "=", ":", "://", "@", " ", "\n", '"', "'", "<SECRET>", "<HOST>", "a", "b.c", ".", "-", "--",
     "::", "fe80", "52:54:00:12:34:56", "1.2.3.4", "/root", "/home/", "Authorization", "bearer ", "\\", "so", "+", "é"]
)  # fmt: skip


@settings(max_examples=1000)
@given(st.lists(PIECES, max_size=12).map("".join))
@example("fe80::1:fe80::2")
@example('{"password": "a b", "k": 1}')
@pytest.mark.slow
def test_hiding_again_changes_nothing(text: str) -> None:
    shown = hidden(text)
    assert hidden(shown) == shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("/root/.cache, '/root', /proc/1/root, /rootfs", "<HOME>/.cache, '<HOME>', /proc/1/root, /rootfs"),
        ("https://docs.kernel.org/x and http://intranet/y", "https://docs.kernel.org/x and http://<HOST>/y"),
        ("mail from ada@corp.example", "mail from <USER>@<HOST>"),
        ("enx525400123456: renamed", "enx<MAC>: renamed"),
        ("switch 5254.0012.3456", "switch <MAC>"),
        ("getty@tty1.service, sys-kernel-tracing.mount", "getty@tty1.service, sys-kernel-tracing.mount"),
        ("libbcc.so.0, /usr/lib/libLLVM-14.so, verifier.c:12", "libbcc.so.0, /usr/lib/libLLVM-14.so, verifier.c:12"),
        ("kernel.kptr_restrict, security.capability", "kernel.kptr_restrict, security.capability"),
        ("FS-001.mount, PRIV-001.sudo, denet_tui.checks.host", "FS-001.mount, PRIV-001.sudo, denet_tui.checks.host"),
        ("0010:bpf_prog_x+0x1/0x2 foo.cold+0x3 bar.isra.0", "0010:bpf_prog_x+0x1/0x2 foo.cold+0x3 bar.isra.0"),
        ("/etc/passwd: No such file; std::string", "/etc/passwd: No such file; std::string"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- x", "<SECRET> x"),
    ],
)  # fmt: skip
def test_what_stays_readable(said: str, shown: str) -> None:
    assert hidden(said) == shown


LOG = """\
<4>[  1.0] WARNING: bpf on db01.corp.example.org failed, see https://bob:hunter2@git.example.com/x
<3>[  2.0] bpf: eth0 52-54-00-12-34-56 to 52:54:00:ab:cd:ef: error, api_key=abcdef012345
<3>[  3.0] bpf: denied for /root/private, Authorization: Bearer abcdef012345
"""


def test_the_kernels_log_in_a_report_names_nobody() -> None:
    host = FakeHost(answers={"kernel_log": lambda: LOG})
    found = check_log(host)
    assert found.state is State.WARN
    result = Report((found,), (), NextStep(""), 0, "root")
    complete = report.as_markdown(result, host)
    for secret in ("db01", "example", "hunter2", "bob", "52-54", "ab:cd", "abcdef", "/root"):
        assert secret in LOG
        assert secret not in complete
        assert secret not in str(report.as_object(result)["findings"][0]["redacted"])
    assert complete.splitlines()[0].startswith("# denet-tui diagnostic report, redacted; not covered: ")
    assert redact.COVERED in complete
    assert "52-54" in report.as_markdown(result, host, redacted=False)
