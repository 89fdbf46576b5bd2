"""The containers' files parse, their parts fit together, and their commands work outside a container."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from training.processes import Command

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


def command(service: str) -> list[str]:
    """A service's command with the defaults of its variables."""
    return [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word) for word in SERVICES[service]["command"]]


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


@pytest.mark.parametrize("service", SERVICES)
def test_services_have_no_rights_that_they_do_not_need(service: str) -> None:
    host = SERVICES[service]
    assert (host["init"], host["read_only"], host["cap_drop"]) == (True, True, ["ALL"])
    assert "ports" not in host
    stages = re.split(r"^FROM \S+ AS ", DOCKERFILE, flags=re.M)[1:]
    assert "\nUSER 10001\n" in next(stage for stage in stages if stage.startswith(host["build"]["target"] + "\n"))


@pytest.mark.parametrize("service", SERVICES)
def test_each_command_is_taken_by_the_program_that_it_names(service: str) -> None:
    program, *flags = command(service)
    words = [Path(sys.executable).with_name(program), *flags, "--print-config"]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_three_commands_carry_images_from_end_to_end(tmp_path: Path) -> None:
    def here(service: str) -> list[str]:
        words = command(service)
        for at, flag in enumerate(words):
            if flag in ("--listen", "--upstream", "--peer"):
                host = service if flag == "--listen" else words[at + 1].split(":")[0]
                words[at + 1] = f"ipc://{tmp_path}/{host}"
        return words

    with Command(*here("rx")) as rx, Command(*here("emu")) as emu, Command(*here("tx"), "--count", "12") as tx:
        lines = list(tx.lines())
        assert tx.wait(60) == 0, (tx.said, emu.said, rx.said)
        summary = json.loads(lines[-1])["summary"]
        assert (summary["answered"], summary["lost"]) == (12, 0)
        assert (emu.stop(), rx.stop()) == (0, 0)
