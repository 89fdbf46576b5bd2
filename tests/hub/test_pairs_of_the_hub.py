"""Pairs come from the Hub and go there; here the Hub is a server on this host, and its cache a folder."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from common.errors import ConfigError, ModelError
from common.hub.snapshot import is_repository
from common.pair.manifest import FILES, MANIFEST, Manifest, find_pair
from tests.hub.imitated import Hub, imitated
from training.push.__main__ import main as push

constants = pytest.importorskip("huggingface_hub.constants", reason="huggingface_hub is not installed")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with imitated() as found:
        monkeypatch.setattr(constants, "ENDPOINT", found.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", found.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.chdir(tmp_path)
        yield found


@pytest.fixture
def pair() -> Manifest:
    return find_pair("digits")


def files_of(pair: Manifest) -> dict[str, bytes]:
    return {name: (pair.path / name).read_bytes() for name in FILES}


def test_a_pair_that_was_pushed_is_the_one_that_comes_back(hub: Hub, pair: Manifest) -> None:
    ran = CliRunner().invoke(push, ["--pair", str(pair.path), "--to", "somebody/first"], obj={})
    assert ran.exit_code == 0, ran.output
    (files,) = hub.repositories["somebody/first"]
    assert files_of(pair).items() <= files.items()
    assert pair.id in files["README.md"].decode()
    found = find_pair("somebody/first")
    assert (found.id, found.name) == (pair.id, pair.name)
    assert f"somebody/first@{found.path.name}" in ran.output


def test_a_pair_of_the_hub_is_pushed_on_under_its_new_name_alone(hub: Hub, pair: Manifest) -> None:
    for pushed, to in ((str(pair.path), "a/first"), ("a/first", "b/second"), ("b/second", "b/second")):
        assert CliRunner().invoke(push, ["--pair", pushed, "--to", to], obj={}).exit_code == 0
    first, second = (hub.repositories[name][-1] for name in ("a/first", "b/second"))
    assert second["README.md"] == first["README.md"].replace(b"a/first", b"b/second")
    assert {name: raw for name, raw in second.items() if name != "README.md"}.items() <= first.items()


def test_what_the_hub_refuses_is_told(hub: Hub, pair: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--pair", str(pair.path), "--to", "a/b"]
    hub.forbids = True
    assert re.match(r"the Hub did not take it \(403 .*; log in", str(CliRunner().invoke(push, words, obj={}).exception))
    away = "the Hub cannot be reached, and nothing was sent"
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert str(CliRunner().invoke(push, words, obj={}).exception).startswith(away)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert str(CliRunner().invoke(push, words, obj={}).exception).startswith(away)


def test_what_is_in_the_cache_needs_no_hub(hub: Hub, pair: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.publish("somebody/pair", files_of(pair))
    find_pair("somebody/pair")
    hub.asked.clear()
    assert find_pair("somebody/pair").id == pair.id
    assert hub.asked == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert find_pair("somebody/pair").id == pair.id
    with pytest.raises(ConfigError, match=r"'somebody/other' is not in the cache.*HF_HUB_OFFLINE"):
        find_pair("somebody/other")
    assert hub.asked == []


def test_a_download_that_was_interrupted_is_finished(hub: Hub, pair: Manifest) -> None:
    hub.publish("somebody/pair", files_of(pair))
    folder = find_pair("somebody/pair").path
    (folder / "decoder.safetensors").unlink()
    assert find_pair("somebody/pair").id == pair.id
    assert (folder / "decoder.safetensors").is_file()


def test_a_revision_names_what_was_there_then(hub: Hub, pair: Manifest) -> None:
    first = hub.publish("somebody/pair", files_of(pair))
    manifest = (pair.path / MANIFEST).read_bytes()
    second = hub.publish("somebody/pair", {MANIFEST: manifest.replace(b'"dataset": "', b'"dataset": "another ')})
    ids = {revision: find_pair(f"somebody/pair@{revision}").id for revision in (first, second, "main")}
    assert ids[first] == pair.id
    assert ids[second] == ids["main"] != pair.id
    with pytest.raises(ConfigError, match=r"no folder 'somebody/pair@v9'.*\(it has no such revision\); give a branch"):
        find_pair("somebody/pair@v9")


@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_weights_that_are_not_those_of_the_manifest_are_refused(hub: Hub, pair: Manifest, half: str) -> None:
    changed = bytearray((pair.path / f"{half}.safetensors").read_bytes())
    changed[-1] ^= 1
    hub.publish("somebody/pair", files_of(pair) | {f"{half}.safetensors": bytes(changed)})
    with pytest.raises(ModelError, match=f"{half}.safetensors is not the file its manifest names"):
        find_pair("somebody/pair")


def test_a_file_that_was_damaged_in_the_cache_comes_anew_as_the_message_says(hub: Hub, pair: Manifest) -> None:
    hub.publish("somebody/pair", files_of(pair))
    blob = (find_pair("somebody/pair").path / "encoder.safetensors").resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match=r"encoder\.safetensors is not the file its manifest names") as error:
        find_pair("somebody/pair")
    said = re.search(r"; remove (\S+) and it is fetched anew", str(error.value))
    assert said is not None, str(error.value)
    shutil.rmtree(said[1])
    assert find_pair("somebody/pair").id == pair.id


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_is_fetched_is_told_in_the_form_of_all_lines(hub: Hub, pair: Manifest, tmp_path: Path, form: str) -> None:
    hub.publish("somebody/pair", files_of(pair))
    around = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    words = ["--model", "somebody/pair", "--listen", "0", "--check", "--log-format", form]
    ran = subprocess.run(
        [sys.executable, "-m", "scrx", *words], capture_output=True, text=True, env=around, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    told = ran.stderr.splitlines()
    if form == "json":
        told = [json.loads(line)["text"] for line in told]
    assert [line for line in told if "fetch" in line.lower()] == ["fetching somebody/pair from the Hub"]


@pytest.mark.parametrize("without", FILES)
def test_a_repository_without_a_pair_is_told_before_anything_is_fetched(hub: Hub, pair: Manifest, without: str) -> None:
    hub.publish("somebody/pair", {name: raw for name, raw in files_of(pair).items() if name != without})
    with pytest.raises(ConfigError, match=f"'somebody/pair' of the Hub has no {without}"):
        find_pair("somebody/pair")
    assert not any("resolve" in one for one in hub.asked)


def test_one_that_is_too_large_is_not_fetched(hub: Hub, pair: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.pair.manifest.LARGEST_HALF", 1 << 10)
    hub.publish("somebody/pair", files_of(pair) | {"a.onnx": bytes(3 << 20)})
    with pytest.raises(ConfigError, match="3 MiB; at most 0 are fetched"):
        find_pair("somebody/pair")
    assert not any("resolve" in one for one in hub.asked)


def test_a_hub_that_cannot_be_reached_is_told_in_a_line(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ConfigError, match=r"no folder 'nobody/nothing' here, and none from the Hub .* look at the name"
    ):
        find_pair("nobody/nothing")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match="without a network, give a local folder"):
        find_pair("nobody/nothing")


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match=r"no folder 'a/b' here, .* install it by `pip install '\.\[hub\]'`"):
        find_pair("a/b")


def test_a_path_is_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("build").mkdir()
    wrong = ("build/digts", "nothing", "/a/b", "./a/b", "a/b/c", "~/a", "../a", "a/", "a/b@", "a b/c", "", "a/b@../c")
    assert [one for one in wrong if is_repository(one)] == []
    assert all(map(is_repository, ("owner/name", "o-w.n_er/na-me.1", "owner/name@main", "owner/name@refs/pr/1")))
    with pytest.raises(ConfigError, match="no model pair 'build/digts'"):
        find_pair("build/digts")


@pytest.mark.parametrize("to", ["first", "a/b@main", "a b/c", "/a/b"])
def test_nothing_is_pushed_to_what_is_no_repository(hub: Hub, pair: Manifest, to: str) -> None:
    ran = CliRunner().invoke(push, ["--pair", str(pair.path), "--to", to], obj={})
    assert isinstance(ran.exception, ConfigError)
    assert hub.asked == []


def test_a_dry_run_sends_nothing(hub: Hub, pair: Manifest) -> None:
    ran = CliRunner().invoke(push, ["--pair", str(pair.path), "--to", "a/b", "--dry-run"], obj={})
    assert ran.exit_code == 0, ran.output
    assert hub.asked == []
