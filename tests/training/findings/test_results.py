"""Results that are kept: what was altered is noticed, whatever it is; and those that ship are of what ships."""

import json
import re
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigError, SemlinkError
from common.pair.manifest import find_pair
from training.findings import orders
from training.findings.orders import ORDERS, measured, taken
from training.findings.result import SCHEMA, Result, read, write
from training.findings.sources import RESULTS, SUITES, TRAINING

RESULT = Result(SCHEMA, "sizes", "python -m training.experiments.sizes", "c" * 40, {"cpu": "any"}, {"digits": "a" * 64},
                (0,), {"pairs": [{"macs": 3, "share": 0.12345678}], "none": None}, "")  # fmt: skip
KEPT = sorted((TRAINING / RESULTS).glob("*.json"))


def other(value: Any) -> Any:
    """Another value of the same type."""
    match value:
        case int():
            return value + 1
        case str():
            return f"{value}x"
        case list():
            return [*value, 7]
        case dict():
            return {**value, "more": "x"}
    raise AssertionError(value)


def test_a_result_comes_back_as_it_was_but_for_digits_that_nobody_reads(tmp_path: Path) -> None:
    found = read(write(RESULT, tmp_path))
    assert found.sound
    assert found.found == {"pairs": [{"macs": 3, "share": 0.123457}], "none": None}
    assert replace(found, found=RESULT.found, seal="") == RESULT


@pytest.mark.parametrize("name", [one.name for one in fields(Result) if one.name != "schema"])
def test_whatever_was_altered_is_noticed(tmp_path: Path, name: str) -> None:
    path = write(RESULT, tmp_path)
    document = json.loads(path.read_bytes())
    document[name] = other(document[name])
    path.write_text(json.dumps(document))
    with pytest.raises(SemlinkError, match="not what was sealed"):
        read(path)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b'{"schema": 2}', b'{"schema": 1, "name": 1}', b"\xff", b"[" * 10**5]
)
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(raw)
    with pytest.raises(SemlinkError, match="no result"):
        read(path)


def test_a_result_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such result"):
        read(tmp_path / "x.json")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_no_json_holds_is_not_kept(tmp_path: Path, value: float) -> None:
    with pytest.raises(SemlinkError, match="no JSON holds"):
        write(replace(RESULT, found={"deep": [{"x": value}]}), tmp_path)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_what_is_kept_is_sound_of_an_order_and_of_the_pairs_that_ship(path: Path) -> None:
    result = read(path)
    assert result.name == path.stem
    assert not result.commit.endswith("+"), "made of files that are in no commit"
    assert result.command == ORDERS[path.stem].command
    order = ORDERS[path.stem]
    if order.trains:  # its pair is made by that
        assert [*result.pairs] == [Path(name).name for name in order.pairs]
    else:
        assert dict(result.pairs) == {name: find_pair(name).id for name in order.pairs}
    assert not re.search(r"(^|[\s\"'=:])(/|~/|\.\./)", path.read_text()), "a path of somebody's machine"


@pytest.mark.parametrize("name", [name for name, order in ORDERS.items() if order.words.startswith("-m ")])
def test_an_order_names_the_seed_of_its_channel_where_its_command_has_one(name: str) -> None:
    module = import_module(ORDERS[name].words.split()[1])
    command = getattr(module, "main", None) or import_module(f"{module.__name__}.__main__").main
    options = {option for one in command.params for option in one.opts}
    assert ORDERS[name].seed == ("--seed" if "--seed" in options else None)


@pytest.mark.parametrize("path", sorted((TRAINING / SUITES).glob("*.json")), ids=lambda path: path.stem)
def test_a_suite_that_is_kept_is_of_the_pair_that_ships(path: Path) -> None:
    pair = json.loads(path.read_bytes())["pair"]
    assert find_pair(pair["name"]).id == pair["id"]


OF_OTHERS = ({"pair": "b" * 64, "rows": []}, {"rows": [{"model_id": "b" * 64}]}, {"pairs": [{"id": "b" * 64}]})


@pytest.mark.parametrize("found", OF_OTHERS, ids=lambda found: next(iter(found)))
def test_what_another_pair_has_given_is_not_taken(tmp_path: Path, found: dict[str, Any]) -> None:
    path = tmp_path / "out.json"
    path.write_text(json.dumps(found))
    with pytest.raises(SemlinkError, match="none of the order's"):
        taken("misled-digits", path)


@pytest.mark.parametrize("raw", ["", "[]", "3"])
def test_what_its_command_does_not_write_is_not_taken(tmp_path: Path, raw: str) -> None:
    path = tmp_path / "out.json"
    path.write_text(raw)
    with pytest.raises(ConfigError, match="not what"):
        taken("misled-digits", path)


@pytest.mark.parametrize(
    ("writes", "script"),
    [
        ("--json", "import json, sys; json.dump({'x': 1}, open(sys.argv[sys.argv.index('--json') + 1], 'w'))"),
        ("--out/a.json", "import json, sys; json.dump({'x': 1}, open(sys.argv[-1] + '/a.json', 'w'))"),
        (orders.STREAM, "print('{}')"),
    ],
)
def test_an_order_is_run_and_what_it_writes_is_taken(monkeypatch: pytest.MonkeyPatch, writes: str, script: str) -> None:
    monkeypatch.setitem(ORDERS, "mine", orders.Order(f'-c "{script}"', ("digits",), writes))
    found = measured("mine")
    wanted: dict[str, Any] = {"lines": [{}]} if writes == orders.STREAM else {"x": 1}
    assert found.found == wanted
    assert found.pairs == {"digits": find_pair("digits").id}


def test_an_order_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ORDERS, "mine", orders.Order('-c "raise SystemExit(3)"', ()))
    with pytest.raises(SemlinkError, match="exit code 3"):
        measured("mine")
    with pytest.raises(ConfigError, match="--measure other"):
        measured("other")
