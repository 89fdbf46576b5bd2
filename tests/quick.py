"""`pytest --quick`: tests that start no process, train nothing and compute for no seconds, with fewer random examples.

Which names a test's code mentions decides, through the helpers and fixtures that it uses, so that there is no list of
tests to go stale; those that compute for long are marked `slow`. What was overlooked is noticed: a test that starts a
process all the same fails, and one that computes for long is named at the end. Knows nothing about what a test is for.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType

import pytest
from hypothesis import settings

STARTERS = frozenset({"subprocess", "multiprocessing", "fork", "Stem", "Command", "Pool", "workers"})
"""What starts processes, by the names under which tests use it."""
EVENTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn"})
TRAINS = ("tests/training", "tests/examples/test_chain_examples.py", "tests/examples/test_training_examples.py")
"""Where nearly every test trains something, and the import alone takes seconds."""
LONG_S = 2.0
"""Seconds of a processor that are told."""


class Quick:
    """The plugin. Registered with `--quick` alone."""

    def __init__(self) -> None:
        settings.register_profile("quick", settings.get_profile("semlink"), max_examples=10)
        settings.load_profile("quick")
        self._started: list[str] = []
        self._long: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in EVENTS and arguments[:1] != ("/sbin/ldconfig",):  # by which ctypes looks for libraries
            self._started.append(f"{event} {arguments[:1]}")

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Leave out what trains."""
        return True if collection_path.as_posix().endswith(TRAINS) else None

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep what is quick; the others are counted as deselected."""
        later = [item for item in items if item.get_closest_marker("slow") or starts_a_process(item)]
        config.hook.pytest_deselected(items=later)
        items[:] = [item for item in items if item not in set(later)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """Fail a test that started a process although no name says so; remember one that took long."""
        self._started.clear()
        began = time.process_time()
        yield
        if (took := time.process_time() - began) > LONG_S:
            self._long.append(f"{item.nodeid}: {took:.1f} s of a processor: mark it slow")
        if self._started:
            pytest.fail(f"started a process ({self._started[0]}): name what does it in STARTERS of tests/quick.py")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name what took long."""
        for line in self._long:
            terminalreporter.write_line(line)


def starts_a_process(item: pytest.Item) -> bool:
    """Whether the code of a test, of its fixtures, or of the helpers that either uses mentions a starter."""
    info = getattr(item, "_fixtureinfo", None)
    fixtures = [one.func for found in info.name2fixturedefs.values() for one in found] if info else []
    seen: set[FunctionType] = set()
    return any(_mentions(one, seen) for one in (getattr(item, "function", None), *fixtures))


def _mentions(function: object, seen: set[FunctionType]) -> bool:
    function = getattr(function, "__wrapped__", function)
    if not isinstance(function, FunctionType) or function in seen:
        return False
    seen.add(function)
    names = _names(function.__code__)
    helpers = [found for name in names if _is_of_tests(found := function.__globals__.get(name))]
    helpers += [one for found in helpers if isinstance(found, type) for one in vars(found).values()]
    return bool(names & STARTERS) or any(_mentions(one, seen) for one in helpers)


def _is_of_tests(found: object) -> bool:
    return (getattr(found, "__module__", None) or "").startswith("tests")


def _names(code: CodeType) -> set[str]:
    """Names that code mentions, those of keyword arguments and of functions within it included."""
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    keywords = [one for names in code.co_consts if isinstance(names, tuple) for one in names if isinstance(one, str)]
    return {*code.co_names, *code.co_freevars, *keywords}.union(*map(_names, inner))
