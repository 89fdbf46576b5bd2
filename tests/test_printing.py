"""What commands print goes through one place, so that nothing from outside reaches a terminal as it came."""

import ast
import re
from pathlib import Path

import common

ROOT = Path(common.__file__).parents[1]
SINKS = {"common/console.py", "common/log.py"}
FORBIDDEN = {"print", "click.echo", "echo", "click.secho", "Console", "sys.stdout.write", "sys.stderr.write"}


def test_commands_print_through_one_place() -> None:
    found = set()
    for room in ("common", "sctx", "scrx"):
        for path in (ROOT / room).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            found |= {(name, ast.unparse(call.func)) for call in calls if name not in SINKS}
    assert {(name, call) for name, call in found if call in FORBIDDEN} == set()


COMMANDS = {"cli.py", "keys.py", "flags.py"}
"""Files that speak to people who type: what they raise may name flags."""
OF_COMMANDS = "common/channel/", "scrx/heads/commands.py", "scrx/heads/desk.py", "scrx/heads/enrolment.py"
"""Parts that are used by a command alone: the emulator's, and what asks and answers `scrx enrol`."""


def test_errors_below_the_commands_name_parameters_and_no_flags() -> None:
    found = {}
    for room in ("common", "sctx", "scrx"):
        for path in (ROOT / room).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            if path.name in COMMANDS or name.startswith(OF_COMMANDS):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Raise) and node.exc and "--" in re.sub("`[^`]*`", "", ast.unparse(node.exc)):
                    found[name, node.lineno] = ast.unparse(node.exc)
    assert not found  # a command to type stands in backticks
