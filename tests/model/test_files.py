"""What is to be written is tried before the work: every way in which a place can be wrong is one line."""

import json
import shutil
from collections import namedtuple
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

from common.errors import ConfigError
from common.files import FIGURES, OutFile, OutFolder, writable, write_json
from training import ablate, closed_loop, demo, distill, evaluate, fractions, savings, teacher

USAGE = namedtuple("USAGE", "total used free")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    return tmp_path


@pytest.mark.parametrize("indent", [None, 1, 2])
@pytest.mark.parametrize("name", ["new.json", "file", "a/b/new.json"])
def test_json_is_written_whole_in_its_folder_with_a_newline_at_its_end(
    place: Path, name: str, indent: int | None
) -> None:
    value = {"rows": [{"name": "σ²", "snr_db": 1.5}, None]}
    write_json(place / name, value, indent)
    raw = (place / name).read_bytes()
    assert json.loads(raw) == value
    assert raw.isascii()
    assert raw.endswith(b"}\n")
    assert raw.count(b"\n") == (1 if indent is None else 9)
    assert not list(place.rglob("*.tmp"))


def test_what_json_cannot_say_leaves_the_file_as_it_was(place: Path) -> None:
    with pytest.raises(TypeError):
        write_json(place / "file", {"path": place})
    assert (place / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["new", "file", "a/b/new", "folder/new"])
def test_a_file_that_can_be_written_is_and_nothing_is_left_there(place: Path, name: str) -> None:
    before = sorted(place.rglob("*"))
    assert writable(place / name, folder=False) == place / name
    assert sorted(place.rglob("*")) == before
    assert (place / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["new", "folder", "a/b/new"])
def test_a_folder_that_can_be_written_to(place: Path, name: str) -> None:
    before = sorted(place.rglob("*"))
    assert writable(place / name, folder=True) == place / name
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(
    ("path", "folder", "reason"),
    [
        ("folder", False, "is a folder"),
        ("/dev/null", False, "is a device"),
        ("file", True, "is no folder"),
        ("file/below", True, "is no folder"),
        ("file/below", False, "is no folder"),
        ("link/below", False, "link to nothing"),
        ("/proc/nobody/new", False, "cannot write to /proc"),
        ("/proc/new", True, "cannot write to /proc"),
    ],
)
def test_a_place_that_cannot_be_written_is_told(place: Path, path: str, folder: bool, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        writable(place / path, folder=folder)


@pytest.mark.parametrize("way", ["/dev/fd", "/proc/self/fd"])
def test_a_file_that_is_open_elsewhere_is_no_place_for_another(place: Path, way: str) -> None:
    """As `/dev/stdout` of `command > file`: what is put in the place of a name would take that of the link."""
    with (place / "file").open() as file, pytest.raises(ConfigError, match="is a device"):
        writable(Path(way, str(file.fileno())), folder=False)
    assert writable(Path("/dev/shm/new"), folder=False)


@pytest.mark.parametrize("folder", [True, False])
def test_a_disk_without_room_is_told(place: Path, monkeypatch: pytest.MonkeyPatch, folder: bool) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: USAGE(1, 1, 5 << 20))
    with pytest.raises(ConfigError, match="5 MiB left"):
        writable(place / "new", folder=folder)
    assert writable(place / "new", folder=folder, room=1 << 20)


def test_a_figure_needs_a_format_that_there_is() -> None:
    with pytest.raises(ConfigError, match=r"ends in \.png, \.svg, \.pdf"):
        OutFile(FIGURES).convert("curve.gif", None, None)


COMMANDS = (ablate, closed_loop, demo, distill, evaluate, fractions, savings, teacher)


@pytest.mark.parametrize("module", COMMANDS, ids=lambda module: module.__name__)
def test_every_command_of_training_tries_its_outputs_when_it_starts(place: Path, module: ModuleType) -> None:
    command: click.Command = module.command if module is demo else module.main
    outputs = [one for one in command.params if isinstance(one.type, OutFile | OutFolder)]
    assert outputs
    names = {"--out", "--json", "--figure", "--write", "--run", "--cards"}
    assert outputs == [one for one in command.params if names & set(one.opts)]
    for one in outputs:
        told = CliRunner().invoke(command, [one.opts[0], str(place / "file" / "x.png")], obj={}).exception
        assert isinstance(told, ConfigError)
        assert "is no folder" in str(told)
