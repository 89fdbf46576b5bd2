"""Progress without a terminal, and tables that are whole wherever they go."""

import io
import time

import pytest
from rich.console import Console

from training.report import progress
from training.report.progress import bar, span
from training.report.tabular import print_table


def test_without_a_terminal_there_is_a_line_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with bar(Console(file=io.StringIO()), "student", 40, done=10) as advance:
        for _ in range(20):
            now[0] += 25
            advance(0.5)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "student: 12 of 40, 75 s gone, 24 min left"
    assert len(lines) == 6
    assert lines[-1] == "student: 19 of 40, 8 min gone, 18 min left"


def test_a_quiet_console_says_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    with bar(Console(quiet=True), "student", 3) as advance:
        advance()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("columns", ["20", "80", "400"])
@pytest.mark.parametrize("width", [1, 30, 200])
def test_a_table_is_whole_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    cells = [[f"{'x' * width}{row}{column}" for column in range(9)] for row in range(3)]
    print_table("a title that is longer than the smallest of the tables", [f"head {k}" for k in range(9)], cells)
    lines = capsys.readouterr().out.splitlines()
    for row in cells:
        assert any(all(cell in line for cell in row) for line in lines)
    assert any("a title that is longer than the smallest of the tables" in line for line in lines)
    assert "…" not in "".join(lines)


def test_names_from_outside_are_no_markup_and_move_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("[red]pair[/]", ["[b]class[/]"], [["[blink]cat[/blink]\x1b[2J\nowl"]], left=["[b]class[/]"])
    out = capsys.readouterr().out
    assert "[blink]cat[/blink]\\x1b[2J\\nowl" in out
    assert "[red]pair[/]" in out
    assert "[b]class[/]" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (89, "89 s"), (91, "2 min"), (1800, "30 min"), (9e3, "2.5 h")]
)
def test_time_as_people_say_it(seconds: float, said: str) -> None:
    assert span(seconds) == said
