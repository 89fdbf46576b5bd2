"""Each parameter stands once: flag, environment, TOML, Python, schedule, control port and document agree on it."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.channel.cli import command
from common.channel.files.schedule import load_schedule
from common.channel.models.doppler import SPECTRA
from common.channel.models.flat import MODELS
from common.channel.spec.parameters import LEAST, Parameter, as_typed, from_flags
from common.channel.spec.spec import CHANNEL, FADING, ChannelSpec, as_field, channel_parameters
from common.channel.spec.ways import FEEDBACK, RETURN, TRANSIT, FeedbackSpec, TransitSpec
from common.channel.streams.channel import Channel
from common.errors import ConfigError

DOCUMENT = Path("common/channel/README.md")
GROUPS = {
    "channel": (ChannelSpec, tuple(CHANNEL.values())), "way there": (TransitSpec, TRANSIT),
    "way back": (TransitSpec, RETURN), "reports": (FeedbackSpec, FEEDBACK),
}  # fmt: skip
of_each_group = pytest.mark.parametrize(("spec", "parameters"), GROUPS.values(), ids=GROUPS)
TEXTS = {"fading": "rayleigh", "spectrum": "bell", "snr_trace": "snr.csv", "cir_trace": "h.csv"}
MORE = {"burst": {"drop": 0.1}, "cir_trace": {"fading": "trace"}}
"""What a parameter cannot be without."""


def typed(one: Parameter, value: float | int | str) -> float | int | str:
    """What is typed for a value of the field."""
    return 10.0 ** (value / 10.0) if one.name == "k_factor_db" else value


def another(one: Parameter) -> float | int | str:
    """A sound value that is not the default, as it is typed."""
    if one.kind is str:
        return TEXTS[one.name]
    if one.name == "burst":
        return 3.0
    middle = one.kind(one.takes.low + (min(one.takes.high, 1e6) - one.takes.low) * 0.55)
    return typed(one, middle + (middle == one.default))


def wrong(one: Parameter) -> Iterator[float | int]:
    """Numbers outside its range, as the field has them."""
    if one.kind is not str:
        yield one.takes.low - (2 if one.takes.low - 1 == one.takes.beyond else 1)
        if one.kind is int:
            yield one.takes.high + 1
        else:
            yield math.nan
            yield from {one.takes.high * 1.01, math.inf, -math.inf} - {one.takes.beyond, one.takes.high}


def made(spec: type, parameters: tuple[Parameter, ...], *words: str) -> Any:
    """The specification that the command line makes of flags, environment and --config."""
    given = command.make_context("channel-emu", list(words), obj={}, auto_envvar_prefix="CHANNEL_EMU").params
    return spec(**(channel_parameters(given) if spec is ChannelSpec else from_flags(given, parameters)))


@of_each_group
def test_flag_environment_file_and_python_agree(
    spec: type, parameters: tuple[Parameter, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "emu.toml"
    for one in parameters:
        value, flags = another(one), ["--drop", "0.1"] if one.name == "burst" else []
        expected = spec(**{one.name: one.from_typed(value)} | MORE.get(one.name, {}))
        assert getattr(expected, one.name) != one.default
        assert made(spec, parameters, one.flag, str(value), *flags) == expected
        file.write_text(f"{one.flag[2:]} = {value!r}\n")
        assert made(spec, parameters, "--config", str(file), *flags) == expected
        with monkeypatch.context() as environment:
            environment.setenv(f"CHANNEL_EMU_{one.variable.upper()}", str(value))
            assert made(spec, parameters, *flags) == expected


def test_schedule_and_control_port_agree(tmp_path: Path) -> None:
    for one in CHANNEL.values():
        if one.live and one.file != "":
            value, path = another(one), tmp_path / "plan.csv"
            path.write_text(f"9,{one.flag[2:]},{value!r}\n".replace("'", ""))
            expected = replace(ChannelSpec(), **{one.name: one.from_typed(value)})
            assert load_schedule(path, ChannelSpec()).mark(1).model.spec == expected
            assert replace(ChannelSpec(), **{one.name: as_field(one.name, one.from_typed(value))}) == expected


def test_the_home_of_a_file_is_put_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    given = {"snr_trace": "~/s.csv", "cir_trace": "~/h.npz", "fading": "~/p.csv", "spectrum": "~/nu.csv"}
    assert channel_parameters(given) == {name: value.replace("~", str(tmp_path)) for name, value in given.items()}
    assert channel_parameters({"spectrum": "bell"}) == {"spectrum": "bell"}


@of_each_group
def test_what_is_wrong_is_wrong_everywhere_in_the_same_words(
    spec: type, parameters: tuple[Parameter, ...], tmp_path: Path
) -> None:
    path = tmp_path / "plan.csv"
    for one, value in [(each, value) for each in parameters for value in wrong(each)]:
        with pytest.raises(ConfigError, match=rf"^{one.name} .* is outside ") as told:
            spec(**{one.name: value})
        with pytest.raises(ConfigError, match=f"^{one.flag} .* is outside ") as on_the_line, as_typed([one]):
            spec(**from_flags({one.variable: typed(one, value)}, [one]))
        if one.made is None:
            assert str(told.value).endswith(f"is outside {one.range}")
            assert str(on_the_line.value) == str(told.value).replace(one.name, one.flag, 1)
        if spec is ChannelSpec and one.live:
            path.write_text(f"9,{one.flag[2:]},{typed(one, value)!r}\n")
            with pytest.raises(ConfigError, match=r"plan\.csv.*(outside|whole)"):
                load_schedule(path, ChannelSpec())


@of_each_group
@pytest.mark.parametrize("near", [5e-324, 1e-310, -1e-310, 2e-308])
def test_a_number_that_nothing_can_be_divided_by_is_refused_everywhere(
    spec: type, parameters: tuple[Parameter, ...], near: float, tmp_path: Path
) -> None:
    """As by `--doppler 1e-310`: the next frame would end the process."""
    path = tmp_path / "plan.csv"
    for one in parameters:
        if one.kind is float and one.takes.low <= near <= one.takes.high:
            with pytest.raises(ConfigError, match=rf"^{one.name} {near:g} is too near 0 to compute with: give 0"):
                spec(**{one.name: near})
            if one.made is None and spec is ChannelSpec:
                path.write_text(f"9,{one.flag[2:]},{near!r}\n")
                with pytest.raises(ConfigError, match=r"plan\.csv.*too near 0"):
                    load_schedule(path, ChannelSpec())


@pytest.mark.parametrize("fading", ["rayleigh", "rician", "nakagami", "tdl-a"])
def test_with_the_least_that_is_taken_frames_pass(fading: str) -> None:
    least = {"doppler": LEAST, "los_doppler": LEAST, "phase_noise": LEAST, "delay_spread": LEAST, "rate": LEAST}
    channel = Channel(ChannelSpec(fading=fading, shadowing_db=LEAST, **least))
    for at in (0, 2**40):
        assert np.isfinite(channel.transform(0, at, np.ones(64, np.complex64))).all()


@of_each_group
def test_a_value_of_another_type_is_named_and_a_number_of_numpy_is_a_number(
    spec: type, parameters: tuple[Parameter, ...]
) -> None:
    for one in parameters:
        others: list[Any] = [None, [], b"1", True, {}, 1j, 1.0 if one.kind is str else "loud"]
        for value in [*others, *([0.5, 2.0] if one.kind is int else [])]:
            with pytest.raises(ConfigError, match=f"^{one.name} .*(is not a |must be text)") as told:
                spec(**{one.name: value})
            assert len(str(told.value)) < 200
        if one.kind is str:
            continue
        for huge in (10**5000, -(10**400)):  # which Python itself may not write
            with pytest.raises(ConfigError, match=f"^{one.name} a huge number "):
                spec(**{one.name: huge})
        for kind in (np.int64,) if one.kind is int else (np.float64, np.float32, np.int16, int):
            value = next(kind(number) for number in (3, 1, 0, 100) if one.takes.low <= number <= one.takes.high)
            assert getattr(spec(**{one.name: value}), one.name) == value


def test_only_the_seed_stays_while_the_channel_runs() -> None:
    assert [one.name for one in CHANNEL.values() if not one.live] == ["seed"]
    assert {one.name for one in command.commands["set"].params} == {
        *(one.variable for one in CHANNEL.values() if one.live), "speed", "carrier", "control",
    }  # fmt: skip


def test_every_model_of_fading_has_a_name_and_a_class() -> None:
    assert MODELS.keys() == FADING.keys() - {"none"}
    for name in FADING.keys() - {"trace"}:
        assert name in CHANNEL["fading"].text
    for name in SPECTRA:
        assert name in CHANNEL["spectrum"].text


@pytest.mark.parametrize("spectrum", ["rain", "missing.csv"])
def test_a_spectrum_that_is_none_is_refused_whatever_fades(spectrum: str, tmp_path: Path) -> None:
    (tmp_path / "plan.csv").write_text(f"9,spectrum,{spectrum}\n")
    with pytest.raises(ConfigError, match=f"{spectrum}.* (is none of|cannot be read)"):
        load_schedule(tmp_path / "plan.csv", ChannelSpec())


def rows(parameters: tuple[Parameter, ...]) -> str:
    """The table of the document."""
    lines = ["| flag | parameter | what | range | default |", "| --- | --- | --- | --- | --- |"]
    for one in parameters:
        default = f"{one.typed:g}" if isinstance(one.typed, float) else str(one.typed)
        what = one.text + ("" if one.live else " It cannot change while the channel runs.")
        lines.append(f"| `{one.flag} {one.metavar}` | `{one.name}` | {what} | {one.range} | {default} |")
    return "\n".join(lines)


@of_each_group
def test_the_document_has_the_table_of_parameters(spec: type, parameters: tuple[Parameter, ...]) -> None:
    assert rows(parameters) in DOCUMENT.read_text(encoding="utf-8"), f"write into {DOCUMENT}:\n{rows(parameters)}"


def test_the_document_names_every_model_and_files_that_are_there() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, what in FADING.items():
        assert f"| `--fading {name}` | {what} |" in text or name == "trace"
    rows = [line for line in text.splitlines() if line.startswith("| `--") and line.endswith(".py` |")]
    files = {word.strip("`,") for row in rows for word in row.rsplit("|", 2)[1].split()}
    assert files
    assert not {name for name in files if not list(DOCUMENT.parent.rglob(name))}
