"""What a run's summary says."""

import io
from contextlib import redirect_stdout

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.phy.decibel import from_db
from sctx.cli import _say_summary
from sctx.outcomes import Answer, Missed, Summary


def answer(index: int, given: int, symbols: int = 4, snr: float | None = 10.0, latency: float = 5.0) -> Answer:
    return Answer(index, given, str(given), 0.9, {}, symbols, symbols + 8, snr, latency, 0, {}, "", 0)


def test_snr_is_averaged_before_it_is_turned_into_decibels() -> None:
    summary = Summary(stream=1)
    for snr in (0.0, 20.0):
        summary.add(answer(0, 1, snr=snr), 1)
    expected = (from_db(0.0) + from_db(20.0)) / 2
    assert from_db(summary.snr_est_db or 0.0) == pytest.approx(expected)


def test_counts_go_where_they_belong() -> None:
    summary = Summary(stream=7)
    summary.add(answer(0, 1), 1)
    summary.add(answer(1, 2, symbols=8), 1)
    summary.add(answer(2, 3), None)
    for why in ("skipped", "expired", "failed"):
        summary.add(Missed(3, why), None)
    found = summary.as_dict()
    assert (found["answered"], found["correct"], found["lost"], found["expired"], found["skipped"]) == (3, 1, 1, 1, 1)
    assert found["sent"] == 6
    assert summary.accuracy == 0.5
    assert found["labelled"] == 2
    assert (found["mean_symbols"], found["mean_uses"]) == (
        pytest.approx(16 / 3, abs=1e-3),
        pytest.approx(40 / 3, abs=1e-3),
    )
    assert found["stream"] == 7


def test_without_labels_or_answers_nothing_is_made_up() -> None:
    summary = Summary(stream=0)
    summary.add(answer(0, 1, snr=None), None)
    assert summary.as_dict()["correct"] is None
    empty = Summary(stream=0).as_dict()
    assert [empty[name] for name in ("mean_symbols", "snr_est_db", "p50_ms", "p99_ms")] == [None] * 4


@given(st.integers(1, 10**9), st.floats(0.001, 99_999.0), st.integers(1, 2**32 - 1))
def test_what_is_said_at_the_end_fits_a_terminal_and_loses_nothing(many: int, latency: float, stream: int) -> None:
    summary = Summary(stream=stream, lost=many, expired=many, skipped=many, unreadable=many, duplicates=many)
    summary.add(answer(0, 1, symbols=many, latency=latency), 1)
    said = io.StringIO()
    with redirect_stdout(said):
        _say_summary(summary)
    lines = said.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    known = {name: str(value) for name, value in summary.as_dict().items() if value is not None}
    assert dict(word.split("=") for word in " ".join(lines[1:]).split()) == known


def test_what_is_said_at_the_end_is_broken_where_a_narrow_terminal_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    summary = Summary(stream=2**32 - 1)
    summary.add(answer(0, 1), 1)
    for columns, longest in ((60, 60), (200, 80)):
        monkeypatch.setenv("COLUMNS", str(columns))
        with redirect_stdout(Terminal()) as said:
            _say_summary(summary)
        assert longest - 30 < max(map(len, said.getvalue().splitlines())) <= longest
