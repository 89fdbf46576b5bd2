"""The names of the metrics: as Prometheus wants them, and each in the document."""

import re
from pathlib import Path

import pytest

from common.live.families import PREFIX, PROCESSES, Spread, Tally

TEXT = (Path(__file__).parents[2] / "common" / "live" / "README.md").read_text(encoding="utf-8")


def test_the_document_names_each_metric_with_its_kind_label_and_meaning_and_no_other() -> None:
    rows = re.findall(r"^\| `semlink_(\w+)` \| (\w+) \| `?(\w*)`? \| (.*) \|$", TEXT, re.M)
    known = {name: family for families in PROCESSES.values() for name, family in families.items()}
    told = {(name, kind, label, text) for name, kind, label, text in rows if name != "build_info"}
    assert told == {(name, one.kind, one.label, one.text) for name, one in known.items()}


@pytest.mark.parametrize("process", PROCESSES)
def test_names_are_as_prometheus_wants_them(process: str) -> None:
    for name, family in PROCESSES[process].items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", PREFIX + name)
        assert name.endswith("_total") == (family.kind == "counter")
        assert not re.search(r"_(ms|us|ns|milli\w+|percent|kb)(_|$)", name)
        assert bool(family.bounds) == (family.kind == "histogram")


def test_a_histogram_counts_each_value_once() -> None:
    tally = Tally((1.0, 2.0, 4.0))
    for value in (0.5, 1.0, 1.5, 4.0, 5.0, 100.0):
        tally.add(value)
    assert tally.spread == Spread((1.0, 2.0, 4.0), (2, 1, 1, 2), 112.0)
