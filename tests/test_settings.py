"""Every setting is one definition: API, flag, environment and file give the same value and refuse the same."""

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import click
import pytest

import scrx.cli
import scrx.settings
import sctx.cli
import sctx.settings
from common.check import Folder, Number, OneOf, Switch, Text, Whole, settings_of
from common.cli import name_environment
from common.errors import ConfigError
from common.flags import given

HALVES: dict[str, tuple[type, click.Command, list[str], Callable[[dict[str, Any]], Any]]] = {
    "SCTX": (sctx.settings.Settings, sctx.cli.command, ["--peer", "h:1"], sctx.cli.settings_of),
    "SCRX": (
        scrx.settings.Settings,
        scrx.cli.command,
        ["--listen", "0"],
        lambda options: scrx.settings.Settings(**given(scrx.settings.Settings, options)),
    ),
}
FLAGGED = [
    pytest.param(half, name, id=f"{half.lower()}-{name}")
    for half, (kind, *_) in HALVES.items()
    for name, _, about in settings_of(kind)
    if about.flag
]
WITHOUT_A_FLAG = {("SCTX", "ask_below"), ("SCTX", "tasks")}


def about(half: str, name: str) -> Any:
    return next(one for field, _, one in settings_of(HALVES[half][0]) if field == name)


def good(takes: Any) -> list[Any]:
    """Values that a setting takes, at the edges of its range too."""
    match takes:
        case Whole(low, high):
            return [low, high, (low + high) // 2]
        case Number(low, high, above):
            most = min(high, 1e6)
            return [most, (low + most) / 3] + ([] if above else [low])
        case Switch():
            return [True]
        case Folder():
            return ["a/folder", "/keys"]
        case Text():
            return ["cpu", "auto"]
        case OneOf(words):
            return list(words)
        case _:
            return ["robust", "average", "fixed:16"]


def bad(takes: Any) -> list[Any]:
    """Values that it refuses and that can be typed."""
    match takes:
        case Whole(low, high):
            return [low - 1, high + 1, low + 0.5, "many", "0x10", "²", math.nan, math.inf]
        case Number(low, high, above):
            below, beyond = low if above else low - 0.01, [] if high == math.inf else [high + 1, math.inf]
            return [below, *beyond, math.nan, -math.inf, "many", "1,5"]
        case OneOf(words):
            return ["many", words[0].upper(), f"{words[0]} "]
        case _:
            return []


def read(half: str, *words: str, environment: dict[str, str] | None = None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The settings that a command line makes; ConfigError or click's own for wrong use."""
    _, command, needed, make = HALVES[half]
    name_environment(command, half)
    with monkeypatch.context() as patch:
        for name, value in (environment or {}).items():
            patch.setenv(name, value)
        context = command.make_context(half, [*needed, *words], obj={}, auto_envvar_prefix=half)
    return make(context.params)


def ways(half: str, name: str, value: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The same value by each way that it can come: the settings, or None where it is refused."""
    kind, flag = HALVES[half][0], about(half, name).flag.lstrip("-")
    switch = isinstance(about(half, name).takes, Switch)
    file = folder / "half.toml"
    written = repr(value) if isinstance(value, str) else str(value).lower()
    file.write_text(f"{flag} = {written}\n")
    words = [f"--{flag}"] if switch else [f"--{flag}={value}"]
    variable = {f"{half}_{flag.upper().replace('-', '_')}": "1" if switch else str(value)}
    found: dict[str, Any] = {}
    for way, make in {
        "api": lambda: kind(**{name: value}),
        "flag": lambda: read(half, *words, monkeypatch=monkeypatch),
        "environment": lambda: read(half, environment=variable, monkeypatch=monkeypatch),
        "file": lambda: read(half, "--config", str(file), monkeypatch=monkeypatch),
    }.items():
        try:
            found[way] = make()
        except (ConfigError, click.BadParameter) as error:
            found[way] = None
            told = error.format_message() if isinstance(error, click.BadParameter) else str(error)
            assert flag in told or told.startswith(f"{name} is "), told
    return found


@pytest.mark.parametrize(("half", "name"), FLAGGED)
def test_api_flag_environment_and_file_give_the_same_and_refuse_the_same(
    half: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes, default = about(half, name).takes, HALVES[half][0]()
    assert read(half, monkeypatch=monkeypatch) == default
    for value in good(takes):
        found = ways(half, name, value, tmp_path, monkeypatch)
        assert found["api"] is not None, value
        assert all(settings == found["api"] for settings in found.values()), (value, found)
        assert type(getattr(found["flag"], name)) is type(getattr(found["api"], name))
        for other in fields(default):
            assert other.name == name or getattr(found["flag"], other.name) == getattr(default, other.name)
    for value in bad(takes):
        found = ways(half, name, value, tmp_path, monkeypatch)
        assert set(found.values()) == {None}, (value, found)


def test_every_setting_has_a_flag_or_a_reason_for_none() -> None:
    everything = [(half, name, one.flag) for half, (kind, *_) in HALVES.items() for name, _, one in settings_of(kind)]
    assert {(half, name) for half, name, flag in everything if not flag} == WITHOUT_A_FLAG


@pytest.mark.parametrize(("words", "ask_below"), [([], 0.0), (["--confidence", "0.5"], 0.0)])
def test_more_is_asked_for_only_where_arq_says_so(
    words: list[str], ask_below: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read("SCTX", *words, monkeypatch=monkeypatch).ask_below == ask_below
    assert read("SCTX", "--arq", "incremental", *words, monkeypatch=monkeypatch).ask_below == (0.5 if words else 0.9)


@pytest.mark.parametrize(
    ("words", "goal"),
    [
        ([], ("within", 1.0)), (["--within", "3"], ("within", 3.0)), (["--target-accuracy", "0.9"], ("target", 0.9)),
        (["--budget", "8"], ("budget", 8.0)), (["--outage", "0"], ("outage", 0.0)), (["--price", "1"], ("price", 1.0)),
    ],
)  # fmt: skip
def test_a_goal_by_its_flag_is_the_goal_of_the_api(
    words: list[str], goal: tuple[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = read("SCTX", *words, monkeypatch=monkeypatch).policy
    assert policy == sctx.RatePolicy("adaptive", 0, sctx.Goal(*goal))


@pytest.mark.parametrize(
    "words",
    [
        ["--within", "nan"], ["--within", "101"], ["--budget", "0.5"], ["--budget", "nan"], ["--price", "2"],
        ["--confidence", "nan"], ["--confidence", "1.1"], ["--fps", "nan"], ["--fps", "0"], ["--count", "0"],
    ],
)  # fmt: skip
def test_what_is_in_no_range_is_refused_as_a_flag_too(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(click.BadParameter):
        read("SCTX", *words, monkeypatch=monkeypatch)


@pytest.mark.parametrize("half", HALVES)
def test_settings_cannot_be_changed_and_are_equal_where_their_values_are(half: str) -> None:
    kind = HALVES[half][0]
    assert kind(window=3) == kind(window=3) != kind()
    assert len({kind(), kind(), kind(window=3)}) == 2
    with pytest.raises(FrozenInstanceError):
        kind().window = 3
    with pytest.raises(TypeError, match="windw"):
        kind(windw=3)


@pytest.mark.parametrize("half", HALVES)
def test_the_documentation_of_settings_says_each_with_its_range_and_default(half: str) -> None:
    kind = HALVES[half][0]
    for name, default, one in settings_of(kind):
        value = one.unset if default is None else default
        assert f" {name} {one.text} [{one.takes}; default: {value}]" in " ".join((kind.__doc__ or "").split())
