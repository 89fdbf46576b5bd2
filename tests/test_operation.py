"""What the files for operation say is so: units of systemd, probes, alerts, the dashboard. None of them is run here."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.live.families import PREFIX, PROCESSES
from common.live.gate import place_of
from common.live.server import Server
from training.lab.processes import Command

DEPLOY = Path(__file__).parents[1] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
WORST = 1.4
"""Of `systemd-analyze security`, as the document says; 10 is no protection at all."""


def manifests() -> list[dict[str, Any]]:
    """All of deploy/k8s but the kustomization."""
    paths = sorted(path for path in (DEPLOY / "k8s").glob("*.yaml") if path.stem != "kustomization")
    return [one for path in paths for one in yaml.safe_load_all(path.read_text())]


def named_metrics() -> set[str]:
    """What the dashboard and the alerts name, without the suffixes of a histogram."""
    text = (DEPLOY / "watch" / "alerts.yml").read_text() + (
        DEPLOY / "watch" / "dashboards" / "semlink.json"
    ).read_text()
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(rf"\b{PREFIX}(\w+)", text)}


def test_every_metric_that_the_dashboard_and_the_alerts_name_is_one() -> None:
    known = {name for families in PROCESSES.values() for name in families}
    assert named_metrics() <= known
    assert len(named_metrics()) > 15


def test_every_label_that_they_name_is_the_one_of_its_metric() -> None:
    families = {PREFIX + name: family for known in PROCESSES.values() for name, family in known.items()}
    text = json.dumps(json.loads((DEPLOY / "watch" / "dashboards" / "semlink.json").read_text()))
    text = text.replace('\\"', '"') + (DEPLOY / "watch" / "alerts.yml").read_text()
    used = re.findall(r"(semlink_\w+)\{(\w+)[=!~]", text)
    assert used
    for name, label in used:
        assert families[name].label == label, name


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here: apt-get install prometheus")
def test_prometheus_takes_its_files() -> None:
    for words in (["check", "rules", "alerts.yml"], ["check", "config", "prometheus.yml"]):
        ran = subprocess.run(["promtool", *words], cwd=DEPLOY / "watch", capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def expressions() -> set[str]:
    """What the dashboard draws, and what the alerts compare with a limit."""
    dashboard = json.loads((DEPLOY / "watch" / "dashboards" / "semlink.json").read_text())
    drawn = {target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())}
    (group,) = yaml.safe_load((DEPLOY / "watch" / "alerts.yml").read_text())["groups"]
    return drawn | {re.sub(r" (==|>) [\d.]+$", "", rule["expr"]) for rule in group["rules"]}


def series_of(name: str, process: str, values: list[str]) -> list[str]:
    """A metric of a process as Prometheus would have it, rising each second; with each of the values of its label."""
    family = PROCESSES[process][name]
    suffixes = ("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",)
    labels = [f', {family.label}="{value}"' for value in values] if family.label else [""]
    bounds = {"_bucket": [', le="0.5"', ', le="+Inf"']}
    return [
        f'{PREFIX}{name}{suffix}{{instance="{process}", job="semlink"{label}{bound}}}'
        for suffix in suffixes
        for label in labels
        for bound in bounds.get(suffix, [""])
    ]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here: apt-get install prometheus")
def test_whatever_is_drawn_or_compared_has_a_value_where_all_metrics_are_there(tmp_path: Path) -> None:
    values = sorted({word for found in re.findall(r'[=~]"([\w|]+)"', str(expressions())) for word in found.split("|")})
    names = ['up{instance="rx", job="semlink"}']
    for process, families in PROCESSES.items():
        names += [series for name in families for series in series_of(name, process, [*values, "other"])]
    test = {
        "interval": "1s",
        "input_series": [{"series": name, "values": "1+1x600"} for name in names],
        "promql_expr_test": [{"expr": one, "eval_time": "10m", "exp_samples": []} for one in sorted(expressions())],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "1s", "tests": [test]}))
    words = ["promtool", "test", "rules", str(tmp_path / "test.yml")]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60)
    told = re.findall(r'expr: ("(?:[^"\\]|\\.)*")', ran.stdout + ran.stderr)  # those with a value
    assert {json.loads(one) for one in told} == expressions(), ran.stdout + ran.stderr


def test_prometheus_scrapes_each_host_by_the_name_that_it_has_and_grafana_reads_its_files_where_they_are() -> None:
    beside = yaml.safe_load((DEPLOY / "watch" / "compose.yaml").read_text())["services"]
    hosts = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    (job,) = yaml.safe_load((DEPLOY / "watch" / "prometheus.yml").read_text())["scrape_configs"]
    (targets,) = job["static_configs"]
    names = [name for name in hosts if name != "keys"]
    assert targets["targets"] == [f"{name}:8080" for name in names]
    for name in names:
        command = hosts[name]["command"]
        assert command[command.index("--http") + 1] == "0.0.0.0:8080"
        assert command[command.index("--http-public") + 1] == "metrics"
        assert beside[name]["hostname"] == name
        assert set(beside[name]["networks"]) <= set(beside["prometheus"]["networks"])
        assert not [
            other for other in names if other != name and set(beside[other]["networks"]) & set(beside[name]["networks"])
        ]
    mounts = {volume.split(":")[0] for one in ("prometheus", "grafana") for volume in beside[one]["volumes"]}
    assert all((DEPLOY / path).exists() for path in mounts if path.startswith("."))


def test_the_health_check_of_the_containers_follows_readiness() -> None:
    hosts = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    (check,) = {tuple(one["healthcheck"]["test"]) for name, one in hosts.items() if name != "keys"}
    server = Server(place_of("0", None, False))
    server.start()
    try:
        words = [word.replace("8080", str(server.server_address[1])) for word in check[2:]]
        ran = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60)
        assert "HTTP Error 503" in ran.stderr  # it is starting
        ready = [word.replace("readyz", "healthz") for word in words]
        assert subprocess.run([sys.executable, *ready], capture_output=True, timeout=60).returncode == 0
    finally:
        server.close()


# -- Kubernetes


def test_each_pod_runs_a_command_that_exists_and_is_probed_where_it_answers() -> None:
    pods = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in manifests() if "template" in one["spec"]
    }
    assert set(pods) == {"rx", "emu", "tx"}
    kustomization = yaml.safe_load((DEPLOY / "k8s" / "kustomization.yaml").read_text())
    assert {one["name"] for one in kustomization["secretGenerator"]} == {f"{name}-keys" for name in pods}
    assert all((DEPLOY / "k8s" / path).is_file() for path in kustomization["resources"])
    files = [DEPLOY / "k8s" / path for one in kustomization["secretGenerator"] for path in one["files"]]
    git = ["git", "check-ignore", "--no-index", *map(str, files)]  # no secret is committed by `git add --all`
    if (DEPLOY.parent / ".git").exists() and shutil.which("git"):
        assert len(subprocess.run(git, cwd=DEPLOY, capture_output=True, check=False).stdout.splitlines()) == len(files)
    for name, pod in pods.items():
        (host,) = pod["containers"]
        assert host["image"] in {one["name"] for one in kustomization["images"]}
        program, *flags = host["command"]
        words = [Path(sys.executable).with_name(program), *flags, "--print-config"]
        ran = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert (ran.returncode, ran.stderr) == (0, ""), name
        assert host["livenessProbe"]["httpGet"]["path"] == host["startupProbe"]["httpGet"]["path"] == "/healthz"
        assert host["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert flags[flags.index("--http") + 1] == f"0.0.0.0:{host['readinessProbe']['httpGet']['port']}"
        assert pod["securityContext"]["runAsNonRoot"]
        assert host["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here")
def test_kustomize_builds_it_and_each_pod_mounts_its_own_keys(tmp_path: Path) -> None:
    folder = shutil.copytree(DEPLOY / "k8s", tmp_path / "k8s", ignore=shutil.ignore_patterns("keys"))
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    for one in kustomization["secretGenerator"]:
        for path in one["files"]:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(path)
    built = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, timeout=60)
    assert (built.returncode, built.stderr) == (0, "")
    objects = list(yaml.safe_load_all(built.stdout))
    secrets = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "Secret"}
    assert len(objects) == len(manifests()) + len(secrets)
    for one in objects:
        if "template" in one.get("spec", {}):
            (name,) = (v["secret"]["secretName"] for v in one["spec"]["template"]["spec"]["volumes"] if "secret" in v)
            assert name.startswith(f"{one['metadata']['name']}-keys-")
            assert set(secrets[name]) == {"own.secret", "trusted"}


# -- systemd


def unit(path: Path) -> dict[str, str]:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path)
    return dict(parser["Service"])


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_each_unit_starts_a_command_that_exists_and_watches_its_progress(path: Path) -> None:
    service = unit(path)
    program, *flags = service["ExecStart"].split()
    name = Path(program).name
    assert path.stem == f"semlink-{name}"
    assert (service["Type"], service["NotifyAccess"], service["User"]) == ("notify", "main", "semlink")
    assert 10 <= int(service["WatchdogSec"]) <= 60
    assert flags[:2] == ["--config", f"/etc/semlink/{name}.toml"]
    words = [Path(sys.executable).with_name(name), "--config", path.with_name(f"{name}.toml"), *flags[2:]]
    ran = subprocess.run([*words, "--print-config"], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "http = '8080'  # config file" in ran.stdout


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here: apt-get install systemd")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_knows_each_setting_and_rates_it_as_the_document_says(path: Path) -> None:
    words = ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(path)]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert not re.search(r"[Uu]nknown|[Ii]nvalid|[Ff]ailed to parse", ran.stderr), ran.stderr
    found = re.search(r"exposure level for \S+: ([\d.]+)", ran.stdout)
    assert found
    assert float(found[1]) <= WORST


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Its end of the socket that a service talks to."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "1500000")
        yield listener


def test_a_service_says_that_it_is_ready_feeds_the_watchdog_and_says_that_it_ends(systemd: socket.socket) -> None:
    assert "NOTIFY_SOCKET" in os.environ
    with Command("channel-emu", "--listen", "0", "--control", "0", "--upstream", "127.0.0.1:9") as emu:
        assert systemd.recv(1000) == b"READY=1"
        told = systemd.recv(1000)
        assert told.startswith(b"STATUS=no receiver is connected")
        assert told.endswith(b"\nWATCHDOG=1")
        assert emu.stop() == 0
    while told != b"STOPPING=1":
        told = systemd.recv(1000)
