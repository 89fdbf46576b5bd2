"""The run of the quick suite that is kept in the project: of the pair and images that ship, and complete."""

import json
from pathlib import Path
from typing import Any

import pytest

import training.suites
from common.pair.manifest import find_pair
from training.suites.definitions import SUITES
from training.suites.roster import NAMES
from training.systems.bench import Bench

KEPT = Path(training.suites.__file__).parent / "results" / "quick.json"
LEAST = 8


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(KEPT.read_bytes())
    return found


def test_it_is_of_the_pair_and_the_images_that_ship(document: dict[str, Any]) -> None:
    assert document["pair"]["id"] == find_pair("digits").id
    assert document["data"]["sha256"] == Bench.open("quick", "digits", "digits").data


@pytest.mark.parametrize("name", NAMES)
def test_every_system_has_its_numbers_where_it_belongs(document: dict[str, Any], name: str) -> None:
    for channel, csi, n in document["systems"][name]["home"]:
        there = [
            point
            for point in document["points"]
            if (point["system"], point["channel"], point["csi"], point["n"]) == (name, channel, csi, n)
        ]
        assert sum(point["accuracy"] is not None for point in there) >= LEAST


def test_the_whole_grid_is_there_and_what_is_null_says_why(document: dict[str, Any]) -> None:
    suite = SUITES["quick"]
    places = {(channel, csi, n, snr) for channel, csi, n in suite.corners for snr in suite.snrs_db}
    for name in NAMES:
        mine = {(p["channel"], p["csi"], p["n"], p["snr_db"]) for p in document["points"] if p["system"] == name}
        assert mine >= places
    assert all((point["accuracy"] is None) == bool(point["reason"]) for point in document["points"])


def test_nobody_passes_fano(document: dict[str, Any]) -> None:
    """Beyond what chance does: the lower end of an interval; of N images that are all right, 1 - 3/N."""
    beyond = 3 / document["data"]["images"]
    where = ("channel", "csi", "n", "snr_db")
    most = {tuple(p[one] for one in where): p["accuracy"] for p in document["points"] if p["system"] == "fano-bound"}
    for point in document["points"]:
        bound = most.get(tuple(point[one] for one in where))
        if point["system"] not in ("teacher", "fano-bound") and point["accuracy"] is not None and bound is not None:
            assert point["ci95"][0] <= bound + beyond
