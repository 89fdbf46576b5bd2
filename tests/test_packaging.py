"""What is installed: the wheel has everything that runs and nothing else, and a foreign `common` is noticed."""

import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from configparser import ConfigParser
from email import message_from_string
from pathlib import Path

import pytest

from common import __version__
from common.cli import EXTRA_OF

ROOT = Path(__file__).parents[1]
PACKAGES = ("common", "sctx", "scrx", "training")
DATA_SUFFIXES = {".py", ".typed", ".json", ".safetensors", ".onnx", ".npz", ".csv", ".toml", ".md"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel of a clean copy of the project, built without the network."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation"]
    ran = subprocess.run([*command, "-w", str(out), str(copy)], capture_output=True, text=True, timeout=170)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (path,) = out.glob("semlink-*.whl")
    return zipfile.ZipFile(path)


def read(wheel: zipfile.ZipFile, name: str) -> str:
    """A file of the wheel's .dist-info folder."""
    (path,) = [path for path in wheel.namelist() if path.endswith(f".dist-info/{name}")]
    return wheel.read(path).decode()


def test_the_wheel_has_our_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    top = {name.split("/")[0] for name in wheel.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == set(PACKAGES)


def test_every_file_that_runs_or_is_read_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    ours = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in DATA_SUFFIXES
    }
    assert ours <= set(wheel.namelist())
    assert {"common/protocol/golden.json", *(f"{package}/py.typed" for package in PACKAGES)} <= ours


def test_the_commands_are_installed(wheel: zipfile.ZipFile) -> None:
    entries = ConfigParser()
    entries.read_string(read(wheel, "entry_points.txt"))
    assert dict(entries["console_scripts"]) == {
        "sctx": "sctx.cli:main",
        "scrx": "scrx.cli:main",
        "channel-emu": "common.channel.cli:main",
    }


def test_the_licence_goes_with_it_and_no_public_index_takes_it(wheel: zipfile.ZipFile) -> None:
    told = message_from_string(read(wheel, "METADATA"))
    assert told["License-Expression"] == "Apache-2.0"
    assert "Private :: Do Not Upload" in told.get_all("Classifier", [])
    assert read(wheel, "licenses/LICENSE").lstrip().startswith("Apache License")


def test_the_version_stands_in_one_place(wheel: zipfile.ZipFile) -> None:
    assert message_from_string(read(wheel, "METADATA"))["Version"] == __version__
    others = [ROOT / name for name in ("pyproject.toml", "CITATION.cff", "Makefile", "deploy/compose.yaml")]
    others += [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.parent.name != "common"]
    assert not [str(path) for path in others if f'"{__version__}"' in path.read_text(encoding="utf-8")]


def test_the_base_install_is_light_and_nothing_needs_torchvision(wheel: zipfile.ZipFile) -> None:
    needs = message_from_string(read(wheel, "METADATA")).get_all("Requires-Dist", [])
    base = {re.split(r"[^\w-]", need)[0] for need in needs if "extra ==" not in need}
    assert base == {"numpy", "pyzmq", "msgpack", "click", "rich", "safetensors"}
    assert not [need for need in needs if need.startswith("torchvision")]


def test_each_extra_that_an_error_names_brings_the_library_that_is_missing(wheel: zipfile.ZipFile) -> None:
    needs = message_from_string(read(wheel, "METADATA")).get_all("Requires-Dist", [])
    distributions = {"PIL": "pillow", "sklearn": "scikit-learn", "cv2": "opencv-python-headless"}
    for library, extra in EXTRA_OF.items():
        wanted = distributions.get(library, library)
        assert [need for need in needs if need.startswith(wanted) and f'extra == "{extra}"' in need], library


@pytest.mark.parametrize("package", ["sctx", "scrx", "training"])
def test_a_foreign_common_is_named_instead_of_used(package: str, tmp_path: Path) -> None:
    foreign = tmp_path / "common" / "__init__.py"
    foreign.parent.mkdir()
    foreign.touch()
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", f"import {package}"]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert f"another package hides semlink's 'common': {foreign}; give semlink a virtual environment" in ran.stderr


USER = """
import scrx
import sctx

with scrx.Receiver("0", "digits", scrx.Settings(window=4)) as rx, sctx.Transmitter("h:1", "digits") as tx:
    reveal_type(tx.settings)
    reveal_type(tx.connect)
    reveal_type(rx.answers())
    policy = sctx.Settings(policy=sctx.RatePolicy("fixed", 2, sctx.Goal("budget", 8)), live=True)
    answer: sctx.Answer = tx.nosuch
    sctx.Settings(windw=2)
sctx.Transmiter
"""


@pytest.mark.full
def test_a_type_checker_sees_the_types_of_what_is_installed(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    place = tmp_path / "installed"
    venv.create(place, with_pip=False)
    (packages,) = place.glob("lib/python*/site-packages")
    wheel.extractall(packages)
    theirs = Path(pytest.__file__).parents[1]
    (packages / "others.pth").write_text(f"{theirs}\n")
    program = tmp_path / "user.py"
    program.write_text(USER)
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(place / "bin/python"), str(program)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=170)
    told = ran.stdout
    assert 'Revealed type is "sctx.settings.Settings"' in told, told + ran.stderr
    assert "common.protocol.messages.Accept" in told
    assert "Iterator[scrx.answers.ReceivedAnswer | None]" in told
    errors = [line.split("error: ")[1] for line in told.splitlines() if "error: " in line]
    assert len(errors) == 3, told
    assert any('"nosuch"' in error for error in errors)
    assert any('"windw"' in error for error in errors)
    assert any('"Transmiter"' in error for error in errors)
