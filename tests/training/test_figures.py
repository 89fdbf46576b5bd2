"""Figures: every one of training goes through one module, from numbers alone, and holds what it was given."""

import ast
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.figure
import pytest

import training
from training.lab.enrolled import Enrolled, panel
from training.lab.tour import Row, panels
from training.loop.journal import Journal, draw_curve
from training.report.figures import Curve, Panel, draw

SIGNATURES = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
LINE = Curve("pair", [0, 10], [50.0, 90.0], [45.0, 88.0], [55.0, 92.0])


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are saved, in place of their files."""
    saved: list[Any] = []
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", lambda one, path, **_: saved.append(one))
    return saved


def test_what_shows_something_is_opened_in_one_place_each() -> None:
    root = Path(training.__file__).parent
    found: dict[str, set[str]] = {"matplotlib": set(), "rich.progress": set(), "rich.table": set()}
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [one.name for one in node.names] if isinstance(node, ast.Import) else []
            for library, places in found.items():
                places |= {str(path.relative_to(root)) for name in names if f"{name}.".startswith(f"{library}.")}
    assert found == {
        "matplotlib": {"report/figures.py"},
        "rich.progress": {"report/progress.py"},
        "rich.table": {"report/tabular.py"},
    }


@pytest.mark.parametrize("suffix", SIGNATURES)
def test_a_figure_is_written_as_its_name_says_and_leaves_nothing_open(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / f"figure{suffix}"
    draw(path, [[Panel([LINE], "dB", "accuracy")]])
    assert path.read_bytes().startswith(SIGNATURES[suffix])
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


@pytest.mark.parametrize(
    "curves",
    [
        [],
        [Curve("none", [], [])],
        [Curve("gap", [1, 2], [math.nan, 1.0])],
        [Curve("no noise", [0, math.inf], [0.5, 0.9])],
    ],
)
@pytest.mark.parametrize("columns", [1, 2])
def test_what_there_is_is_drawn_without_a_warning(tmp_path: Path, curves: list[Curve], columns: int) -> None:
    draw(tmp_path / "figure.svg", [[Panel(curves)] * columns])
    assert (tmp_path / "figure.svg").stat().st_size > 1000


def test_a_label_has_one_colour_and_one_place_in_the_legend(tmp_path: Path, drawn: list[Any]) -> None:
    other = replace(LINE, label="other")
    draw(tmp_path / "figure.png", [[Panel([LINE, other]), Panel([other])], [Panel([other, LINE]), None]])
    axes = [one for one in drawn[0].axes if one.get_visible()]
    colours = {(line.get_label(), line.get_color()) for one in axes for line in one.get_lines()}
    assert len(axes) == 3
    assert colours == {("pair", "C0"), ("other", "C1")}
    (legend,) = drawn[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["pair", "other"]


def test_panels_of_different_curves_have_legends_of_their_own(tmp_path: Path, drawn: list[Any]) -> None:
    draw(tmp_path / "figure.png", [[Panel([LINE]), Panel([replace(LINE, label="other")])]])
    assert not drawn[0].legends
    texts = [[text.get_text() for text in one.get_legend().get_texts()] for one in drawn[0].axes]
    assert texts == [["pair"], ["other"]]


def test_a_logarithmic_axis_has_a_tick_at_each_abscissa(tmp_path: Path, drawn: list[Any]) -> None:
    draw(tmp_path / "figure.png", [[Panel([Curve("fixed", [0.005, 0.1, 0.2], [1, 2, 3])], log=True)]])
    (axes,) = drawn[0].axes
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0.005", "0.1", "0.2"]


def test_a_pair_without_labels_or_pilots_is_drawn_too(tmp_path: Path, drawn: list[Any]) -> None:
    rows = [Row("awgn", snr, None, 360, right, 8.0, 1.0, 2.0, 0, 0) for snr, right in ((0.0, None), (10.0, 0.9))]
    draw(tmp_path / "figure.png", [panels(rows)])
    shares = drawn[0].axes[0].get_lines()[0].get_ydata()
    assert [bool(value == value) for value in shares] == [False, True]


def test_the_curve_of_a_run_shows_every_epoch_of_every_stage(tmp_path: Path, drawn: list[Any]) -> None:
    stages = {"student": 5, "decisions": 2}
    for name, count in stages.items():
        with Journal(tmp_path / name) as journal:
            for epoch in range(count):
                journal.write(epoch, loss=1.0 / (1 + epoch), lr=0.1)
    draw_curve(tmp_path / "curve.png", {name: tmp_path / name for name in stages})
    lines = drawn[0].axes[0].get_lines()
    assert {line.get_label(): list(line.get_xdata()) for line in lines} == {
        "student": [1, 2, 3, 4, 5], "decisions": [1, 2],
    }  # fmt: skip
    assert list(lines[0].get_ydata()) == [1.0, 0.5, 1 / 3, 0.25, 0.2]


def test_what_was_enrolled_is_drawn_beside_chance(drawn: list[Any]) -> None:
    course = ((0, 0.0), (1, 0.22), (5, 0.46))
    taught = Enrolled("pair", "awgn", 10.0, 56, tuple("abcde"), 5, 100, 0.0, 0.46, course, 3)
    draw(Path("build/x.png"), [[panel(taught)]])
    lines = {line.get_label(): line for line in drawn[0].axes[0].get_lines()}
    assert list(lines["by chance"].get_xdata()) == [0, 1, 5]
    assert list(lines["by chance"].get_ydata()) == [20.0] * 3
    assert list(lines["5 new classes"].get_ydata()) == [0.0, 22.0, 46.0]
    assert {text.get_text() for text in drawn[0].axes[0].get_legend().get_texts()} == set(lines)
