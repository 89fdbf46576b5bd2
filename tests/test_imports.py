"""Who may import whom, how big a room may be, what never imports torch, and what is never used at all."""

import ast
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from training.report.measured_on import COMPUTES

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "common": {"common"},
    "sctx": {"sctx", "common"},
    "scrx": {"scrx", "common"},
    "training": {"training", "sctx", "scrx", "common"},
}
LIGHT = ("common.channel", "common.phy", "common.protocol", "common.transport", "common.control", "common.cli",
         "common.log")  # fmt: skip
FACES = {"__init__", "__main__"}
MOST_FILES = 14
OF_BOTH_HALVES = {"cli", "link", "pipeline", "settings", "vitals"}
"""Names that two rooms share, since they mean the same in each."""
NEVER_IMPORTED = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "torchvision"}
READS_A_PICKLE = "training/teachers/efficientnet_lite.py"
"""Two files that are known by their SHA-256, and by `weights_only`; nothing else may."""
NEVER_CALLED = {"eval", "exec", "torch.load", "recv_pyobj", "send_pyobj"}


@cache
def trees(room: str) -> list[tuple[str, ast.AST]]:
    """Each file of a room, parsed once for all tests."""
    paths = sorted((ROOT / room).rglob("*.py"))
    return [(str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def module_of(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


@cache
def imported(tree: ast.AST) -> set[str]:
    """Modules that a tree imports anywhere, also inside functions, and what it takes out of them, by dotted names."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def dotted(node: ast.expr) -> str:
    """a.b.c as it is written; "" for what is more than names."""
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value)
        return owner and f"{owner}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def called(tree: ast.AST) -> set[str]:
    """Functions that a tree calls: by their whole dotted name, and methods by their last name."""
    functions = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    last = {function.attr for function in functions if isinstance(function, ast.Attribute)}
    return {dotted(function) for function in functions} | last - {"eval", "exec"}  # Module.eval() is another thing


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_go_one_way(room: str) -> None:
    for path, tree in trees(room):
        ours = {name.split(".")[0] for name in imported(tree)} & set(MAY_IMPORT)
        assert ours <= MAY_IMPORT[room], f"{path} imports {ours - MAY_IMPORT[room]}"


@pytest.fixture(scope="module")
def arrows() -> dict[str, set[str]]:
    """Each of our modules -> those that it imports, also inside functions and for types alone."""
    found = {module_of(path): tree for room in MAY_IMPORT for path, tree in trees(room)}
    return {
        name: {one if one in found else one.rpartition(".")[0] for one in imported(tree)} & found.keys() - {name}
        for name, tree in found.items()
    }


def test_no_module_imports_itself_by_way_of_others(arrows: dict[str, set[str]]) -> None:
    left = dict(arrows)
    while free := {name for name, others in left.items() if not others & left.keys()}:
        left = {name: others for name, others in left.items() if name not in free}
    assert not left, f"these import each other in a circle, or what does: {sorted(left)}"


def test_no_two_rooms_import_each_other(arrows: dict[str, set[str]]) -> None:
    """A room is a folder. A package that only says what it is (`__init__.py`) is of no room."""
    room = {module_of(path): str(Path(path).parent) for name in MAY_IMPORT for path, _ in trees(name)}
    pairs = {(room[a], room[b]) for a, others in arrows.items() for b in others if room[a] != room[b]}
    assert not {(a, b) for a, b in pairs if (b, a) in pairs}


def test_nobody_imports_what_people_type(arrows: dict[str, set[str]]) -> None:
    commands = {module_of(path) for path, _ in trees("training") if path.count("/") == 1} - {"training"}
    assert not {name: others & commands for name, others in arrows.items() if others & commands}


def test_what_a_number_depends_on_is_in_what_it_is_kept_under(arrows: dict[str, set[str]]) -> None:
    """All that is imported by what measures or trains lies in rooms whose code is a part of the key of its results."""
    only_shows = {"training/report", "training/suites"}
    for begins, more in (
        ({"training.suites.measuring", "training.suites.roster"}, set()),
        ({"training.experiments.loop_run"}, {"training/experiments"}),
        ({"training.distillation.stages"}, set()),
    ):
        met, left = set[str](), begins
        while left:
            met |= left
            left = set().union(*(arrows[one] for one in left)) - met
        inside = [one.replace(".", "/") for one in met if "." in one.removeprefix("training.")]
        rooms = (*COMPUTES, *more, *only_shows)
        assert [one for one in inside if not one.startswith(tuple(f"{room}/" for room in rooms))] == []


def test_no_room_is_crowded_and_no_name_means_two_things() -> None:
    paths = [Path(path) for room in MAY_IMPORT for path, _ in trees(room) if Path(path).stem not in FACES]
    rooms = Counter(path.parent for path in paths)
    assert {room: count for room, count in rooms.items() if count > MOST_FILES} == {}
    names = Counter(path.stem for path in paths)
    assert {name for name, count in names.items() if count > 1} <= OF_BOTH_HALVES


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_nothing_that_runs_what_it_reads_is_used(room: str) -> None:
    for path, tree in trees(room):
        assert not {name.split(".")[0] for name in imported(tree)} & NEVER_IMPORTED, path
        runs = (called(tree) | imported(tree)) & NEVER_CALLED
        assert runs == ({"torch.load"} if path == READS_A_PICKLE else set()), path
        words = {
            ast.unparse(node)
            for node in ast.walk(tree)
            if isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "weights_only")
        }
        assert not {word for word in words if word.startswith("allow_pickle") and word != "allow_pickle=False"}, path
        assert path != READS_A_PICKLE or "weights_only=True" in words, path


def test_light_rooms_never_mention_torch() -> None:
    for path, tree in trees("common"):
        if path.removesuffix(".py").replace("/", ".").startswith(LIGHT):
            assert not {name for name in imported(tree) if name.split(".")[0] == "torch"}, path


TORCH: dict[str, set[str]] = {"sctx": {"sctx/encoder.py"}, "scrx": set()}


@pytest.mark.parametrize("half", TORCH)
def test_torch_is_in_the_encoders_file_alone(half: str) -> None:
    """All others pass numpy arrays: another runtime is another such file. A receiver has no network."""
    torch = {path for path, tree in trees(half) if "torch" in {name.split(".")[0] for name in imported(tree)}}
    assert torch == TORCH[half]


def run_without_torch(program: str) -> None:
    check = "import sys; assert 'torch' not in sys.modules, 'torch was imported'"
    ran = subprocess.run([sys.executable, "-c", f"{program}\n{check}"], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


def test_light_rooms_do_not_load_torch_through_others() -> None:
    modules = [module_of(path) for path, _ in trees("common")]
    run_without_torch("\n".join(f"import {module}" for module in modules if module.startswith(LIGHT)))


@pytest.mark.parametrize("module", ["sctx.cli", "scrx.cli", "common.channel.cli"])
def test_help_and_a_wrong_flag_do_not_wait_for_torch(module: str) -> None:
    run_without_torch(
        f"import contextlib, sys, {module} as cli\n"
        "for given in ('--help', '--version', '--no-such-flag'):\n"
        "    sys.argv[1:] = [given]\n"
        "    with contextlib.suppress(SystemExit):\n        cli.main()\n"
        "    assert 'torch' not in sys.modules, f'torch was imported for {given}'"
    )
