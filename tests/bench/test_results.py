"""Runs of the benches are kept as JSON and compared; nothing is timed here."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from common.errors import ConfigError, DataError, SemlinkError
from tests.bench import compare, keep
from tests.bench.results import HISTORY, Figure, Machine, Recorder, Run, commit, describe, interval, machine, read

EPYC = Machine("AMD EPYC", 2, ("avx2", "fma"), ("numpy 2",))
SPEED = Figure("speed", "Ms/s", "more", 10.0, 9.0, 11.0, (9.0, 10.0, 11.0))
TIME = Figure("time", "us", "less", 300.0, 280.0, 330.0, (280.0, 300.0, 330.0))
ONCE = Figure("once", "ms", "less", 4.0, None, None, (4.0,))
RUN = Run("c0ffee" * 6 + "c0ff", False, "2026-01-02T03:04:05+00:00", 0.1, EPYC, (SPEED, TIME, ONCE))


def with_values(run: Run, **values: float) -> Run:
    """The same figures, those that are named scaled with their intervals."""

    def scaled(one: Figure) -> Figure:
        by = values.get(one.name, 1.0)
        low, high = (None if end is None else end * by for end in (one.low, one.high))
        return replace(one, value=one.value * by, low=low, high=high)

    return replace(run, figures=tuple(map(scaled, run.figures)))


def test_a_run_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    RUN.write(tmp_path / "deep" / "run.json")
    assert read(tmp_path / "deep" / "run.json") == RUN
    told = json.loads((tmp_path / "deep" / "run.json").read_text())
    assert {"commit", "changed", "date", "load", "machine", "figures", "format"} == set(told)
    assert told["figures"][0] == {
        "name": "speed", "unit": "Ms/s", "better": "more", "value": 10.0, "low": 9.0, "high": 11.0,
        "samples": [9.0, 10.0, 11.0],
    }  # fmt: skip


BROKEN: dict[str, Callable[[dict[str, Any]], object]] = {
    "another format": lambda run: run.update(format=2),
    "no commit": lambda run: run.pop("commit"),
    "nothing": lambda run: run.clear(),
    "text for a number": lambda run: run["figures"][0].update(value="10"),
    "half an interval": lambda run: run["figures"][0].update(low=None),
    "another way to be better": lambda run: run["figures"][0].update(better="higher"),
    "an unknown key": lambda run: run["machine"].update(host="h"),
    "not a number": lambda run: run["figures"][0].update(value=float("nan")),
    "endless": lambda run: run["figures"][0].update(samples=[float("inf")]),
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=list(BROKEN))
def test_what_is_no_run_is_refused_in_one_line(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = tmp_path / "run.json"
    RUN.write(path)
    told = json.loads(path.read_text())
    change(told)
    for text in (json.dumps(told), json.dumps(told)[:-1], ""):
        path.write_text(text)
        with pytest.raises(DataError) as refusal:
            read(path)
        assert str(path) in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_what_is_kept_can_be_read_and_is_named_after_commit_and_machine() -> None:
    kept = sorted(HISTORY.glob("*.json"))
    assert kept
    assert [read(path).name for path in kept] == [path.name for path in kept]
    assert not any(read(path).changed for path in kept)


def test_figures_are_medians_over_sets_or_a_statistic_of_all_values_with_an_interval_over_sets() -> None:
    recorder, random = Recorder(), np.random.default_rng(1)
    sets = [random.normal(100 + 5 * k, 1, 50) for k in range(9)]
    middle = recorder.add("middle", "us", [float(np.median(one)) for one in sets])
    assert middle.value == np.median(middle.samples)
    assert 100 < float(middle.low or 0) < 120 < float(middle.high or 0) < 141
    most = recorder.add("most", "us", [one.tolist() for one in sets], np.max, better="more")
    assert most.value == most.high == max(map(np.max, sets))
    assert list(most.samples) == [np.max(one) for one in sets]
    assert recorder.add("once", "us", [3.0]).low is None
    assert interval([np.array([1.0])], np.median) == (None, None)
    assert recorder.add("middle", "us", [1.0, 1.0, 1.0]).low == 1.0  # measured again: the later one counts
    assert [one.name for one in recorder.figures] == ["most", "once", "middle"]


def test_a_run_says_of_which_commit_and_machine_it_is() -> None:
    recorder = Recorder()
    recorder.note(TIME)
    run = recorder.finish()
    assert (run.figures, run.commit, run.changed) == ((TIME,), *commit())
    assert run.machine == machine()
    assert run.machine.cores >= 1
    assert any(one.startswith("numpy ") for one in run.machine.versions)


@pytest.mark.parametrize(
    ("cpuinfo", "cpu", "flags", "slug"),
    [
        ("processor\t: 0\nmodel name\t: AMD EPYC 7763\nflags\t\t: fpu avx avx2 fma\n\nprocessor\t: 1\n",
         "AMD EPYC 7763", ("avx", "avx2", "fma"), "amd-epyc-7763-{}-cores-avx2"),
        ("model name : Intel(R) Xeon(R) CPU @ 2.00GHz\nflags : avx2 avx512f\n",
         "Intel(R) Xeon(R) CPU @ 2.00GHz", ("avx2", "avx512f"), "intel-r-xeon-r-cpu-2-00ghz-{}-cores-avx512f"),
        ("model name\t: Neoverse-N1\nFeatures\t: fp asimd\n", "Neoverse-N1", ("asimd",), "neoverse-n1-{}-cores-asimd"),
    ],
)  # fmt: skip
def test_a_machine_is_known_by_its_processor(cpuinfo: str, cpu: str, flags: tuple[str, ...], slug: str) -> None:
    found = describe(cpuinfo)
    assert (found.cpu, found.flags, found.slug) == (cpu, flags, slug.format(found.cores))


def lines(old: Run, new: Run) -> dict[str, str]:
    return {line.split()[0]: line for line in compare.compared(old, new)}


@pytest.mark.parametrize(
    ("figure", "by", "told"),
    [
        ("speed", 1.0, "1.00  overlap"), ("speed", 1.15, "1.15  overlap"), ("speed", 1.5, "1.50  apart: better"),
        ("speed", 0.5, "0.50  apart: worse"), ("time", 1.5, "1.50  apart: worse"), ("time", 0.5, "0.50  apart: better"),
        ("time", 280 / 330, "0.85  overlap"), ("once", 0.5, "0.50  -"),
    ],
)  # fmt: skip
def test_a_comparison_tells_ratio_and_whether_intervals_overlap(figure: str, by: float, told: str) -> None:
    assert lines(RUN, with_values(RUN, **{figure: by}))[figure].endswith(f" {told}")


def test_of_nothing_there_is_no_ratio() -> None:
    none = with_values(RUN, time=0.0)
    assert lines(none, none)["time"].endswith(" -  overlap")


def test_a_comparison_says_what_speaks_against_it() -> None:
    assert list(compare.remarks(RUN, RUN)) == []
    other = replace(RUN, machine=replace(EPYC, flags=("avx512f",)), changed=True, load=1.5, figures=(SPEED,))
    told = "\n".join(compare.remarks(RUN, other))
    for part in ("two machines", "avx512f", "new run was of files", "load of 1.5", "only in the old run: time, once"):
        assert part in told


def test_runs_are_found_by_the_commit_they_are_of_and_the_newest_counts(tmp_path: Path) -> None:
    late = replace(RUN, date="2026-01-03T03:04:05+00:00")
    for name, run in (("a", late), ("b", RUN), ("c", replace(RUN, commit="dead" * 10))):
        run.write(tmp_path / f"{name}.json")
    assert compare.find("c0ffeec", (tmp_path,)) == late
    assert compare.find(str(tmp_path / "b.json"), ()) == RUN
    for word in ("beef", "c0f", str(tmp_path)):
        with pytest.raises(ConfigError):
            compare.find(word, (tmp_path,))


def test_both_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RUN.write(tmp_path / "one.json")
    shown = CliRunner().invoke(compare.command, [str(tmp_path / "one.json")] * 2)
    assert (shown.exit_code, len(shown.stdout.splitlines())) == (0, 4)
    monkeypatch.setattr(keep, "HISTORY", tmp_path / "history")
    monkeypatch.setattr(keep, "BUILD", tmp_path)
    assert CliRunner().invoke(keep.command).exit_code == 0
    assert read(tmp_path / "history" / RUN.name) == RUN


def test_what_is_kept_is_one_file_for_each_commit_and_machine_and_loses_no_figure(tmp_path: Path) -> None:
    again = replace(with_values(RUN, time=2.0), date="2026-02-02T03:04:05+00:00")
    for run in (RUN, replace(again, figures=again.figures[1:2]), replace(RUN, commit="dead" * 10)):
        run.write(tmp_path / "run.json")
        keep.keep(tmp_path / "run.json", tmp_path / "history")
    kept = read(tmp_path / "history" / RUN.name)
    assert {one.name: one.value for one in kept.figures} == {"speed": 10.0, "once": 4.0, "time": 600.0}
    assert len(list((tmp_path / "history").iterdir())) == 2


def test_nothing_is_kept_that_nobody_can_measure_again(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="make bench"):
        keep.newest(tmp_path)
    replace(RUN, changed=True).write(tmp_path / "run.json")
    with pytest.raises(SemlinkError, match="commit them first"):
        keep.keep(tmp_path / "run.json", tmp_path / "history")
    assert not (tmp_path / "history").exists()
