"""What people have in their hands: `sctx` and `scrx` show what they have, and load nothing before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import common.errors
import scrx
import sctx

PACKAGES = {"sctx": sctx, "scrx": scrx}
ERRORS = [name for name in vars(common.errors) if isinstance(getattr(common.errors, name), type)]


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_promised_is_shown_and_is_there(package: str) -> None:
    module = PACKAGES[package]
    shown = [name for name in dir(module) if not name.startswith("__")]
    assert shown == sorted(module.__all__)
    assert all(getattr(module, name).__name__ == name for name in shown)
    everything: dict[str, object] = {}
    exec_of_a_star(package, everything)
    assert set(module.__all__) <= set(everything)


def exec_of_a_star(package: str, into: dict[str, object]) -> None:
    """`from PACKAGE import *`, as a module does it."""
    exec(compile(f"from {package} import *", "user.py", "exec"), into)


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_are_told_the_same_as_everybody_else(package: str) -> None:
    module = PACKAGES[package]
    tree = ast.parse(Path(str(module.__file__)).read_text())
    (branch,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    told = {alias.name: node.module for node in branch.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert sorted(told) == sorted(module.__all__)
    for name, home in told.items():
        assert getattr(module, name) is getattr(sys.modules[str(home)], name), name


@pytest.mark.parametrize("package", PACKAGES)
def test_every_error_that_a_half_raises_can_be_caught_by_its_name(package: str) -> None:
    assert {"SemlinkError", "ConfigError", "ModelError"} <= set(PACKAGES[package].__all__) & set(ERRORS)


def test_the_errors_of_sending_are_all_there() -> None:
    assert {"DataError", "LinkDown", "PeerRejected"} <= set(sctx.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_is_not_there_is_an_attribute_error_that_names_it(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Nosuch'"):
        PACKAGES[package].Nosuch  # noqa: B018
    assert not hasattr(PACKAGES[package], "__nosuch__")


def test_nothing_loads_torch_before_a_half_is_opened() -> None:
    program = (
        "import sys, sctx, scrx\n"
        "light = {'torch', 'numpy', 'zmq'} & set(sys.modules)\n"
        "from sctx import *\nfrom scrx import *\n"
        "sctx.Settings(policy='robust', ask_below=0.5), scrx.Settings(workers=2)\n"
        "assert not light, light\n"
        "assert 'torch' not in sys.modules"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
