"""The tools of the tests themselves: which tests are quick, and what coverage is told of."""

import subprocess
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.coverage_by_room import by_room
from tests.quick import starts_a_process
from training.lab.processes import Command


def helper() -> object:
    return subprocess.run(["true"], check=True)


class Helper:
    def __enter__(self) -> object:
        return helper()


def plain() -> int:
    return len("subprocess")


def by_name() -> object:
    return subprocess.run(["true"], check=True)


def through_a_helper() -> object:
    return [helper() for _ in range(2)]


def through_a_class() -> object:
    return Helper()


def by_keyword(**settings: int) -> object:
    return by_keyword(workers=1)


def by_command() -> object:
    return Command("sctx")


def item(function: Callable[..., object], fixtures: dict[str, list[Any]]) -> Any:
    return SimpleNamespace(function=function, _fixtureinfo=SimpleNamespace(name2fixturedefs=fixtures))


@pytest.mark.parametrize("function", [by_name, through_a_helper, through_a_class, by_keyword, by_command])
def test_a_test_that_starts_a_process_is_not_quick_however_it_does_so(function: Callable[..., object]) -> None:
    assert starts_a_process(item(function, {}))
    assert starts_a_process(item(plain, {"some_fixture": [SimpleNamespace(func=function)]}))
    assert not starts_a_process(item(plain, {"some_fixture": [SimpleNamespace(func=plain)]}))


def test_coverage_is_summed_by_room() -> None:
    def file(ran: int, of: int) -> dict[str, dict[str, int]]:
        return {"summary": {"covered_lines": ran, "num_statements": of}}

    files = {"sctx/rate/policy.py": file(3, 4), "sctx/rate/belief.py": file(5, 6), "sctx/link.py": file(0, 0)}
    assert by_room(files) == {"sctx": (0, 0), "sctx/rate": (8, 10), "all": (8, 10)}
