"""The page of error lines is true and whole: what it quotes is said somewhere, and what is said is there or says itself
what to do.

Reads the code and runs none of it. Three rules:

1. Every class of error, exit code, code of REJECT and NAK, status, reason of a ProtocolError, and event that is logged
   as a warning or an error has its row, whatever its name says.
2. An error that a person can meet either says what to do (REMEDY: an imperative, a flag, a bound, or what would have
   been right), or a row quotes a part of it.
3. Left out of 2 are an error that only puts a place before another one (fewer than three words of its own), and those
   that name a file which is damaged or unusable (ModelError, DataError, StoreError): their remedy is that of their
   class, and stands in its row.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from common import errors
from common.protocol.messages import NakCode, RejectCode, Status

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "deploy" / "TROUBLESHOOTING.md"
ROOMS = ("common", "sctx", "scrx", "training")
NEWCOMERS = ("data", "distillation", "knowledge", "lab", "push", "recipes", "teachers")
"""Rooms of training/ behind the commands that somebody types who makes a first pair; and all files at its top."""
OF_A_FILE = {"ModelError", "DataError", "StoreError"}
SAID = {"ConfigError", "SemlinkError", "LinkDown", "PeerRejected"}
VARIES = "…"
REMEDY = re.compile(
    r"--[a-z]|`[^`]+`|python -m "  # a flag, or something to type
    r"|\b(add|ask|change|chmod|choose|copy|fetch|give|install|lower|make|mend|merge|move|open another|pipe|raise|remove"
    r"|rename|run|save|say|set|start|train|try|use|wait|write|enrol from|name (it|one|another))\b"  # do this
    r"|\b(must|needs?|expected|at (most|least)|are the most|instead of|outside|go(es)? together|exclude|such as)\b"
    r"|none of|one of|there are:? …|it (has|knows) …|answers …|sends … symbols|not … to …|[01] to …"  # what is right
)
"""Words by which a line says itself what to do, or what would have been right."""


def template(node: ast.AST) -> str:
    """A text of the code, VARIES in the place of what is filled in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(map(template, node.values))
    if isinstance(node, ast.BinOp):
        return template(node.left) + template(node.right)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else VARIES


@cache
def code() -> tuple[tuple[Path, ast.AST], ...]:
    """What the rules look at, with its file: texts, calls and pairs."""
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py") if is_met(path)]
    parsed = [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in files]
    kinds = (ast.Call, ast.Tuple, ast.JoinedStr, ast.Constant, ast.keyword)
    return tuple((path, node) for path, tree in parsed for node in ast.walk(tree) if isinstance(node, kinds))


def is_met(path: Path) -> bool:
    """Whether a newcomer's commands run this file."""
    room, *below = path.relative_to(ROOT).parts
    return room != "training" or len(below) == 1 or below[0] in NEWCOMERS


def calls(*names: str) -> Iterator[tuple[Path, ast.Call]]:
    """Calls of functions, classes or (as "logger.warning") methods of these names, that have arguments."""
    for path, node in code():
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func) in names:
            yield path, node


@cache
def rows() -> tuple[tuple[str, ...], ...]:
    """The cells of every row of the page's tables."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("| ")]
    return tuple(tuple(cell.strip() for cell in row) for row in cells)


@cache
def quoted() -> tuple[str, ...]:
    """What stands between backticks in the first cell of a row."""
    return tuple(one for row in rows() for one in re.findall(r"`([^`]+)`", row[0]))


def says_what_to_do(message: str) -> bool:
    return bool(REMEDY.search(message))


def own_words(message: str) -> list[str]:
    return re.findall(r"[A-Za-z]{2,}", message.replace(VARIES, " "))


def unanswered(message: str) -> bool:
    """Whether somebody who meets this line would be left alone with it."""
    return len(own_words(message)) > 2 and not says_what_to_do(message) and not any(one in message for one in quoted())


def test_every_line_that_the_page_quotes_is_said_by_the_code() -> None:
    texts = {template(node) for _, node in code() if isinstance(node, ast.JoinedStr | ast.Constant)}
    names = {one.name for codes in (NakCode, RejectCode, Status) for one in codes}
    names |= {node.arg for _, node in code() if isinstance(node, ast.keyword) and node.arg}
    said = "\n".join(texts | names)
    assert [one for one in quoted() if one not in said] == []
    assert len(quoted()) > 100


def test_every_error_says_what_to_do_or_stands_on_the_page() -> None:
    found = {template(call.args[0]): path for path, call in calls(*SAID)}
    assert len(found) > 200
    assert {message: str(path) for message, path in found.items() if unanswered(message)} == {}


def test_every_class_of_error_has_its_row_with_its_exit_code() -> None:
    table = {row[1].strip("`"): row[0] for row in rows() if row[0].isdigit()}
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.SemlinkError)]
    assert {one.__name__: str(one.exit_code) for one in classes}.items() <= table.items()
    assert OF_A_FILE | SAID | {"ProtocolError"} == {one.__name__ for one in classes}
    assert {"0", "130"} <= {row[0] for row in rows()}


@pytest.mark.parametrize("codes", [NakCode, RejectCode, Status])
def test_every_code_of_the_wire_that_is_no_answer_has_its_row(codes: type) -> None:
    assert {one.name for one in codes} - {"OK"} <= set(quoted())


def test_every_reason_of_a_protocol_error_has_its_row() -> None:
    reasons = {template(call.args[0]) for _, call in calls("ProtocolError")} - {VARIES}
    assert len(reasons) > 15
    assert reasons <= set(quoted())


def test_every_warning_that_is_logged_has_its_row() -> None:
    logged = calls("logger.warning", "logger.error", "logger.exception")
    events = {template(call.args[0]) for _, call in logged}
    events |= {template(call.args[2]) for _, call in calls("note", "refusals.note") if len(call.args) > 2}
    levels = [node.elts for _, node in code() if isinstance(node, ast.Tuple) and len(node.elts) == 2]
    events |= {template(event) for level, event in levels if ast.unparse(level) == "logging.WARNING"}
    assert {"link_down", "worker_ended", "handshake_failed_key"} <= events
    assert events - {VARIES} <= set(quoted())


@pytest.mark.parametrize("message", ["the frobnicator … is unhappy", "cannot frobnicate …: the cause is …"])
def test_a_line_that_says_nothing_and_stands_nowhere_is_found(message: str) -> None:
    assert unanswered(message)
    assert not unanswered(message + "; give another")
