"""The containers' files parse, their parts fit together, and their commands work outside a container."""

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.transport.keystore import Keys
from common.transport.keystore import make_keys as new_keys
from training.lab.processes import Command

ROOT = Path(__file__).parents[1]
OURS = ("common", "sctx", "scrx", "training")
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


def command(service: str) -> list[str]:
    """A service's command with the defaults of its variables."""
    words = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word) for word in SERVICES[service]["command"]]
    return [word.replace("$$", "$") for word in words]


def value(service: str, flag: str) -> str:
    words = command(service)
    return words[words.index(flag) + 1]


def test_every_target_and_file_that_is_named_exists() -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE, re.M))
    assert {service["build"]["target"] for service in SERVICES.values()} <= targets
    for service in SERVICES.values():
        assert (ROOT / "deploy" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    kept = re.findall(r"^!(\S+)$", (ROOT / "deploy" / "Dockerfile.dockerignore").read_text(), re.M)
    assert {name for name in kept if not (ROOT / name).exists()} == set()
    assert set(re.findall(r"^COPY ([^-.]\S*)", DOCKERFILE, re.M)) <= set(kept)


def test_hosts_find_each_other_by_name_and_only_through_the_channel() -> None:
    for client, flag, server in (("tx", "--peer", "emu"), ("emu", "--upstream", "rx")):
        assert value(client, flag) == f"{server}:{value(server, '--listen')}"
        assert set(SERVICES[client]["networks"]) & set(SERVICES[server]["networks"])
    assert not set(SERVICES["tx"]["networks"]) & set(SERVICES["rx"]["networks"])
    assert all(COMPOSE["networks"][name] == {"internal": True} for name in ("air", "backhaul"))


def test_every_test_that_the_security_page_names_exists() -> None:
    files = {path.stem: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    named = re.findall(r"`(test_\w+)?(?:::(test_\w+))?`", (ROOT / "deploy" / "SECURITY.md").read_text())
    file = ""
    for given, test in named:
        file = given or file  # `::test` is in the file that was named last
        assert f"def {test}(" in files[file] if test else file in files, f"{file}::{test}"
    assert len(named) > 30


def test_who_listens_is_started_again_and_who_ends_by_itself_is_not() -> None:
    again = {name for name, host in SERVICES.items() if host.get("restart") == "unless-stopped"}
    assert again == {"rx", "emu"}


HOSTS = [name for name in SERVICES if name != "keys"]


@pytest.mark.parametrize("service", SERVICES)
def test_services_have_no_rights_that_they_do_not_need(service: str) -> None:
    host = SERVICES[service]
    assert (host["init"], host["read_only"], host["cap_drop"]) == (True, True, ["ALL"])
    assert "ports" not in host
    stages = re.split(r"^FROM \S+ AS ", DOCKERFILE, flags=re.M)[1:]
    assert "\nUSER 10001\n" in next(stage for stage in stages if stage.startswith(host["build"]["target"] + "\n"))


@pytest.mark.parametrize("service", HOSTS)
def test_each_command_is_taken_by_the_program_that_it_names(service: str) -> None:
    program, *flags = command(service)
    words = [Path(sys.executable).with_name(program), *flags, "--print-config"]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")


def make_keys(folder: Path) -> None:
    """What the service `keys` does, in another folder."""
    words = [word.replace("/keys/", f"{folder}/") for word in command("keys")]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for _ in range(2):  # the second time nothing changes
        ran = subprocess.run(words, capture_output=True, text=True, timeout=170, env=os.environ | {"PATH": path})
        assert (ran.returncode, ran.stderr) == (0, "")


def test_each_host_trusts_only_those_that_it_speaks_with_and_sees_only_its_own_keys(tmp_path: Path) -> None:
    make_keys(tmp_path)
    trusts = {"rx": {"emu"}, "emu": {"rx", "tx"}, "tx": {"emu"}}
    assert {host: set(Keys(tmp_path / host).trusted) for host in HOSTS} == trusts
    for host in HOSTS:
        assert SERVICES[host]["volumes"] == [f"{host}-keys:/keys/{host}:ro"]
        assert value(host, "--keys") == f"/keys/{host}"
    assert set(COMPOSE["volumes"]) == {f"{host}-keys" for host in HOSTS}


@pytest.mark.usefixtures("warm")
def test_the_three_commands_carry_images_from_end_to_end(tmp_path: Path) -> None:
    keys = {host: new_keys(tmp_path / host, host) for host in HOSTS}
    for client, server in (("tx", "emu"), ("emu", "rx")):
        keys[client].trust("127.0.0.1", keys[server].own.public)  # here every host has the same address
        keys[server].trust(client, keys[client].own.public)

    def here(service: str, upstream: Command | None = None) -> list[str]:
        words = command(service)
        for at, flag in enumerate(words):
            if flag == "--keys":
                words[at + 1] = str(tmp_path / service)
            elif flag in ("--listen", "--http"):
                words[at + 1] = "0"
            elif flag in ("--upstream", "--peer") and upstream:
                words[at + 1] = f"127.0.0.1:{upstream.port()}"
        return words

    with (
        Command(*here("rx")) as rx,
        Command(*here("emu", rx), "--control", "0") as emu,
        Command(*here("tx", emu), "--count", "12") as tx,
    ):
        lines = list(tx.lines())
        assert tx.wait(60) == 0, (tx.said, emu.said, rx.said)
        summary = json.loads(lines[-1])["summary"]
        assert (summary["answered"], summary["lost"]) == (12, 0)
        assert (emu.stop(), rx.stop()) == (0, 0)


@pytest.mark.parametrize("folder", ["deploy/edge", "deploy/gnuradio", "tests/bench"])
def test_scripts_that_no_test_runs_import_what_there_is(folder: str) -> None:
    for script in sorted((ROOT / folder).glob("*.py")):
        for one in ast.walk(ast.parse(script.read_text())):
            if isinstance(one, ast.ImportFrom) and one.module and one.module.split(".")[0] in OURS:
                module = importlib.import_module(one.module)
                for name in (each.name for each in one.names if not hasattr(module, each.name)):
                    assert find_spec(f"{one.module}.{name}"), f"{script}: {one.module} has no {name}"


@pytest.mark.full
@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_the_stages_of_a_small_device_are_measured(backend: str) -> None:
    script = str(ROOT / "deploy" / "edge" / "stages.py")
    words = [sys.executable, script, "digits", "--images", "3", "--backend", backend, "--json"]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    row = json.loads(ran.stdout)
    assert (row["backend"], set(row["stages_us"])) == (backend, {"decode", "fit", "encode", "modulate", "pack"})
    assert row["frame_bytes"] == 8 * (8 + 32)
