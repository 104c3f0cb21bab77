"""`serve` with Debian's prometheus and promtool, the schema of Kubernetes, and thousands of processes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.test_serve import serving, total
from tests.lab.machines import CACHE
from tests.real import REPOSITORY, environment
from tests.watch.helpers import DENET, PATIENCE, eventually

pytestmark = [pytest.mark.lab, pytest.mark.root]

DOCS = REPOSITORY / "docs/serve"
DASHBOARD = json.loads((DOCS / "dashboard.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
MACHINES = ("1", "2", "3")


@pytest.fixture(scope="module")
def tools() -> Path:
    """The folder of Debian's prometheus and promtool, unpacked and not installed: that would start a server."""
    folder = CACHE / "prometheus"
    if not (folder / "usr/bin/promtool").exists():
        if not shutil.which("apt-get"):
            pytest.skip("needs Debian's package prometheus")
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-qq", "prometheus"], cwd=folder, check=True, timeout=300)
        (package,) = folder.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True, timeout=60)
    return folder / "usr/bin"


def of_dashboard(query: str) -> str:
    """With Grafana's variables as it would fill them in."""
    for name in ("instance", "cgroup", "syscall"):
        query = query.replace(f"${name}", ".*")
    return re.sub(r"\$__\w+", "1m", query)


def test_promtool_takes_them_all(tools: Path) -> None:
    document = (REPOSITORY / "docs/serve.md").read_text()
    lines = re.findall(r"^    promtool (.*)$", document, re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        done = subprocess.run([tools / "promtool", *shlex.split(line)], cwd=REPOSITORY, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SUCCESS" in done.stdout + done.stderr


class Lan:
    """Network namespaces, one for Prometheus and one for each machine, with a wire from the first to each other."""

    def __init__(self) -> None:
        self._name = f"denet{os.getpid()}"
        self.names = [self.of(each) for each in ("0", *MACHINES)]

    def of(self, machine: str) -> str:
        return f"{self._name}-{machine}"

    def make(self) -> None:
        for name in self.names:
            self._ip("netns", "add", name)
            self._ip("-n", name, "link", "set", "lo", "up")
        for number, name in enumerate(self.names[1:], 1):
            here = ("name", f"to{number}", "netns", self.names[0])
            self._ip("link", "add", *here, "type", "veth", "peer", "name", "wire", "netns", name)
            for side, device, last in ((self.names[0], f"to{number}", 1), (name, "wire", 2)):
                self._ip("-n", side, "addr", "add", f"10.99.{number}.{last}/30", "dev", device)
                self._ip("-n", side, "link", "set", device, "up")

    def inside(self, machine: str, *argv: str | Path) -> list[str | Path]:
        """Only the network: `ip netns exec` would hide cgroups as well."""
        return ["nsenter", f"--net=/run/netns/{self.of(machine)}", *argv]

    def remove(self) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=30)

    @staticmethod
    def _ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, timeout=30)


@contextlib.contextmanager
def started(*argv: str | Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as said:
        process = subprocess.Popen(argv, env=environment(), stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture
def lan() -> Iterator[Lan]:
    if not shutil.which("ip") or not shutil.which("nsenter"):
        pytest.skip("needs ip and nsenter: network namespaces")
    made = Lan()
    try:
        made.make()
        yield made
    finally:
        made.remove()


def test_three_machines_are_scraped_and_one_that_is_killed_is_missed(tools: Path, lan: Lan, tmp_path: Path) -> None:
    targets = [f"10.99.{each}.2:9783" for each in MACHINES]
    rules = (DOCS / "rules.yml").read_text()
    (tmp_path / "rules.yml").write_text(rules.replace("for: 1m", "for: 5s"))
    config = (DOCS / "prometheus.yml").read_text()
    config = config.replace("15s", "3s\n  evaluation_interval: 1s").replace('["127.0.0.1:9783"]', json.dumps(targets))
    (tmp_path / "prometheus.yml").write_text(config)
    options = (f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data")
    server = lan.inside("0", tools / "prometheus", *options, "--web.listen-address=127.0.0.1:9090")

    def asked(query: str) -> str:
        done = subprocess.run(
            lan.inside("0", tools / "promtool", "query", "instant", "http://127.0.0.1:9090", query),
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert "bad_data" not in done.stderr, (query, done.stderr)
        return done.stdout.strip()

    with contextlib.ExitStack() as stack:
        watching = {}
        for each, target in zip(MACHINES, targets, strict=True):
            argv = lan.inside(each, *DENET, "serve", "--listen", target)
            watching[target] = stack.enter_context(started(*argv, log=tmp_path / f"said{each}"))
        stack.enter_context(started(*server, log=tmp_path / "prometheus.log"))
        eventually(lambda: "=> 3 " in asked("sum(up)"), "all three are scraped")
        eventually(lambda: asked("rate(denet_calls_total[30s]) > 0"), "calls are counted")
        firing = 'ALERTS{alertname="DenetGone", alertstate="firing"}'
        eventually(lambda: not asked(firing), "nothing is missed")
        for query in QUERIES:
            asked(of_dashboard(query))
        eventually(lambda: all(f'instance="{each}"' in asked("denet_exact") for each in targets), "each says so")
        print("\n", asked("scrape_duration_seconds"), asked("scrape_samples_scraped"))
        watching[targets[1]].send_signal(signal.SIGKILL)
        eventually(lambda: asked(firing), "the alert fires")
        assert re.findall(r'instance="([^"]+)"', asked(firing)) == [targets[1]]


def test_the_manifest_is_valid_and_has_the_capabilities_that_it_needs(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    pip = [tmp_path / "venv/bin/python", "-m", "pip", "install", "-q", "kubernetes-validate"]
    subprocess.run(pip, check=True, timeout=600)
    validate = [tmp_path / "venv/bin/kubernetes-validate", "--strict", DOCS / "daemonset.yaml"]
    done = subprocess.run(validate, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    added = re.search(r"add: \[(.*)\]", (DOCS / "daemonset.yaml").read_text())
    unit = re.search(r"^CapabilityBoundingSet=(.*)$", (DOCS / "denet-tui.service").read_text(), re.MULTILINE)
    assert added
    assert unit
    names = added[1].lower().split(", ")
    assert sorted(names) == sorted(unit[1].lower().replace("cap_", "").split())
    argv = [*DENET, "serve", "--listen", "127.0.0.1:0", "--", "true"]
    for without in (None, *names):
        rights = ",".join(["-all", *(f"+{name}" for name in names if name != without)])
        bare = ["setpriv", f"--bounding-set={rights}", "--inh-caps=-all", "--no-new-privs"]
        read_only = 'mount -o remount,bind,ro / && exec "$@"'
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", read_only, "sh", *bare, *argv],
            env=environment(), capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert (done.returncode == 0) is (without is None), (without, done.stderr)
        assert without is None or done.stderr.count("\n") == 1


def test_the_commands_of_the_document_do_what_it_says(tmp_path: Path) -> None:
    """In a network of their own, where the usual port is free."""
    document = (REPOSITORY / "docs/serve.md").read_text()
    block = re.search(r"\n\n((?:    .*denet-tui serve.*\n)+)    curl (.*?)  ", document)
    assert block
    tmp_path.chmod(0o777)
    with started("sleep", "1000", log=tmp_path / "nothing") as sleeping:
        for line in block[1].splitlines():
            words = line.partition(" #")[0].replace("sudo ", "").replace("1234", str(sleeping.pid)).strip()
            words = words.replace("--unit nginx.service", "--cgroup /").replace("make -j4", "sleep 100")
            place = "unix" if "unix:" in words else "http"
            answer = "curl -s --unix-socket metrics http://localhost/" if place == "unix" else f"curl {block[2]}"
            script = (
                f"ip link set lo up; {words.replace('denet-tui', shlex.join(DENET), 1)} 2> said & server=$!\n"
                f"until grep -q 'metrics on {place}' said; do sleep 0.1; done\n"
                f"until {answer} | tee told | grep -q denet_exact; do sleep 0.1; done\nkill $server; wait $server; true"
            )
            done = subprocess.run(
                ["unshare", "--net", "sh", "-c", script],
                cwd=tmp_path,
                env=environment(),
                capture_output=True,
                timeout=60,
            )
            assert done.returncode == 0, done.stderr
            assert "denet_exact 1" in (tmp_path / "told").read_text(), words


def test_ten_thousand_processes_leave_memory_flat(tmp_path: Path) -> None:
    """At some hundred times the rate of an hour, with as many names: what is bounded stays so."""
    work = """read x; i=0; while [ $i -lt 10000 ]; do i=$((i+1)); ln -f /bin/true n$((i % 1000)) 2> /dev/null ||
        cp -f /bin/true n$((i % 1000)); ./n$((i % 1000)); done; read x"""
    with (
        subprocess.Popen(["sh", "-c", work], stdin=subprocess.PIPE, cwd=tmp_path) as shell,
        serving(tmp_path, str(shell.pid)) as served,
    ):
        assert shell.stdin
        eventually(lambda: served.has("denet_exact 1"), "it is watched")
        shell.stdin.write(b"\n")
        shell.stdin.flush()
        sizes, slowest = [], 0.0
        while (ended := total(now := served.samples(), "denet_ended_total")) < 20000:
            assert len(now) < 3000 + 60
            if ended > 2000:
                sizes.append(now["process_resident_memory_bytes",])
            before = time.monotonic()
            served.told()
            slowest = max(slowest, time.monotonic() - before)
            time.sleep(1)
        assert total(now, "denet_lost_total") == 0
        assert max(sizes) - sizes[0] < 8 << 20, sizes
        shell.stdin.close()
    print(
        f"\n{len(now)} series, at most {slowest * 1000:.0f} ms a scrape, {[f'{each / 1e6:.0f}' for each in sizes]} MB"
    )


COLLECTOR = """
import gzip, http.server, json, sys
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportMetricsServiceRequest()
        request.ParseFromString(body)
        with open(sys.argv[1], "w") as told:
            json.dump(MessageToDict(request), told)
        self.send_response(200)
        self.end_headers()

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.handle_request()
"""


def test_a_collector_of_opentelemetry_is_sent_the_same(tmp_path: Path) -> None:
    (tmp_path / "collector.py").write_text(COLLECTOR)
    python = tmp_path / "venv/bin/python"
    subprocess.run(["/usr/bin/python3", "-m", "venv", tmp_path / "venv"], check=True)
    packages = ("opentelemetry-exporter-otlp-proto-http", "prometheus-client", "click", "psutil", "system-calls")
    subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True, timeout=600)
    (site,) = (tmp_path / "venv/lib").glob("python3*/site-packages")
    (site / "here.pth").write_text(str(REPOSITORY))
    with subprocess.Popen([python, tmp_path / "collector.py", tmp_path / "told"], stdout=subprocess.PIPE) as collector:
        assert collector.stdout
        url = f"http://127.0.0.1:{int(collector.stdout.readline())}/v1/metrics"
        words = ["serve", "--listen", "127.0.0.1:0", "--otlp", url, "--", "ls", "/nowhere"]
        try:
            done = subprocess.run(
                [python, "-m", "denet_tui", *words], env=environment(), capture_output=True, text=True, timeout=60
            )
            assert done.returncode == 2, done.stderr
            assert collector.wait(PATIENCE) == 0
        finally:
            collector.kill()
    (resource,) = json.loads((tmp_path / "told").read_text())["resourceMetrics"]
    metrics = {each["name"]: each for each in resource["scopeMetrics"][0]["metrics"]}
    calls = metrics["denet_calls"]["sum"]
    assert (calls["isMonotonic"], calls["aggregationTemporality"]) == (True, "AGGREGATION_TEMPORALITY_CUMULATIVE")
    times = {
        each["attributes"][0]["value"]["stringValue"]: each
        for each in metrics["denet_call_seconds"]["histogram"]["dataPoints"]
    }
    for point in calls["dataPoints"]:
        labels = {each["key"]: each["value"]["stringValue"] for each in point["attributes"]}
        if labels["syscall"] in times:
            counts = times[labels["syscall"]]
            assert sum(map(int, counts["bucketCounts"])) == int(counts.get("count", 0)) <= int(point["asInt"])
            assert len(counts["bucketCounts"]) == len(counts["explicitBounds"]) + 1
    assert "denet_exact" in metrics
    assert {each["key"] for each in resource["resource"]["attributes"]} >= {"service.name", "service.version"}
