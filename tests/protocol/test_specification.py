"""The written specification says what the code does: its tables are read and compared."""

import ast
import json
import random
import re
from dataclasses import fields
from enum import IntEnum
from importlib.resources import files
from typing import Any, get_args

import numpy as np
import pytest

from common.errors import ProtocolError
from common.protocol import frames
from common.protocol.fields import Header
from common.protocol.messages import VERSION, ByeCode, Kind, Message, NakCode, RejectCode, Status

ROOM = files("common.protocol")
TEXT = ROOM.joinpath("README.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### \d+ ([A-Z]+)[,:][^\n]*\n(.*?)(?=^##)", TEXT, re.M | re.S))
CLASSES: tuple[type[Any], ...] = get_args(Message)
ENUMS: dict[str, type[IntEnum]] = {"REJECT": RejectCode, "RESULT": Status, "NAK": NakCode, "BYE": ByeCode}

GOOD_AND_BAD: dict[str, tuple[list[Any], list[Any]]] = {
    "session": ([bytes(16)], [bytes(15), bytes(17), "0" * 16, None]),
    "model": ([bytes(32)], [bytes(31), bytes(33), "0" * 32, None]),
    **{f"u{n}": ([0, 2**n - 1], [-1, 2**n, True, 1.0, None, "1"]) for n in (8, 16, 32, 64)},
    **{f"text {n}": (["", "x" * n, "é" * (n // 2)], ["x" * (n + 1), "é" * n, b"", None]) for n in (64, 128)},
    "[u16] 16": ([(), (0, 65535), (0,) * 16], [(0,) * 17, (-1,), [0], None]),
    "[text 32] 16": ([(), ("x" * 32,) * 16], [("x",) * 17, ("x" * 33,), (b"x",), "x"]),
    "dB or nil": ([None, -100.0, 0.0, 100.0], [100.1, -100.1, 5, float("nan"), float("inf"), "0"]),
    "float 0..0.5 or nil": ([None, 0.0, 0.5], [-0.1, 0.6, 0, float("nan")]),
    "float 0..1": ([0.0, 1.0], [-0.1, 1.1, 0, None, float("nan")]),
}


def rows(text: str) -> list[list[str]]:
    """Cells of every table line but headings and rules."""
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]
    rules = [at for at, cells in enumerate(lines) if cells[0] == "---"]
    return [cells for at, cells in enumerate(lines) if at not in rules and at + 1 not in rules]


def described(kind: str) -> dict[str, str]:
    """Field name -> type, as the section of a kind lists them."""
    return {name: type_ for names, type_, _ in rows(SECTIONS[kind]) for name in names.split(", ")}


def test_kinds_and_version_are_those_of_the_code() -> None:
    numbers = re.findall(r"^### (\d+) ([A-Z]+)", TEXT, re.M)
    assert [(int(number), name) for number, name in numbers] == [(kind.value, kind.name) for kind in Kind]
    assert TEXT.startswith(f"# The wire, version {VERSION}\n")


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_fields_and_their_order_are_those_of_the_code(cls: type[Any]) -> None:
    header = [field.name for field in fields(cls) if field.name not in ("payload", "outputs")]
    assert list(described(cls.KIND.name)) == header


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_each_field_takes_the_range_of_its_type_and_nothing_else(cls: type[Any]) -> None:
    checks = (*cls.CHECKS, *([cls.GROWN] if hasattr(cls, "GROWN") else []))
    for (name, kind), check in zip(described(cls.KIND.name).items(), checks, strict=True):
        good, bad = GOOD_AND_BAD.get(kind) or (
            list(ENUMS[cls.KIND.name]),
            [max(ENUMS[cls.KIND.name]) + 1, -1, True, None],
        )
        for value in good:
            assert check(value) == value, name
        for value in bad:
            with pytest.raises(ProtocolError, match="bad_field"):
                check(value)


HEADERS = {
    **{cls.KIND.name: (cls.KIND.name, header) for cls, header in frames.HEADERS.items()},
    "head of DATA": ("DATA", frames.DATA_HEAD),
    "head of RESULT": ("RESULT", frames.RESULT_HEAD),
}


@pytest.mark.parametrize(("kind", "header"), HEADERS.values(), ids=list(HEADERS))
def test_a_header_checked_in_one_call_is_what_its_fields_are_one_by_one(kind: str, header: Header) -> None:
    kinds, choose = list(described(kind).values())[: len(header.checks)], random.Random(5)
    odd = [None, True, -1, 2**64, 2**70, -(2**70), 1.0, float("nan"), "1", b"", (), np.uint8(1), np.float64(0.1)]
    codes = list(ENUMS.get(kind, ()))
    for at in (None, *range(len(kinds))):  # all sound, or one that is not
        for _ in range(20):
            values = [choose.choice(GOOD_AND_BAD[type_][0] if type_ in GOOD_AND_BAD else codes) for type_ in kinds]
            if choose.random() < 0.5:  # as they come off the wire
                values = [int(value) if isinstance(value, IntEnum) else value for value in values]
            if at is not None:
                values[at] = choose.choice([*odd, *(GOOD_AND_BAD.get(kinds[at]) or ((), ()))[1]])
            try:
                expected: Any = [check(value) for check, value in zip(header.checks, values, strict=True)]
            except ProtocolError as error:
                expected = str(error)
            try:
                found: Any = list(header.read((*values, "of a later version")))
            except ProtocolError as error:
                found = str(error)
            assert repr(found) == repr(expected)
            if kind in ("DATA", "RESULT"):
                quick = header.quick(tuple(values))
                assert (quick is None) == isinstance(expected, str), "what is sound is seen at the first look"
    with pytest.raises(ProtocolError, match="arity"):
        header.read(())


@pytest.mark.parametrize(("kind", "codes"), ENUMS.items(), ids=list(ENUMS))
def test_codes_are_those_of_the_code(kind: str, codes: type[IntEnum]) -> None:
    line = next(cells[2] for cells in rows(SECTIONS[kind]) if cells[1] == "enum")
    assert re.findall(r"(\d+) ([A-Z0-9_]+)", line) == [(str(code.value), code.name) for code in codes]


def test_reasons_are_all_that_the_code_gives() -> None:
    given = set()
    for module in ("fields.py", "frames.py", "messages.py", "sound.py"):
        for node in ast.walk(ast.parse(ROOM.joinpath(module).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ProtocolError":
                assert isinstance(node.args[0], ast.Constant)
                given.add(node.args[0].value)
    written = re.search(r"^## 8\..*?(?=^## 9)", TEXT, re.M | re.S)
    assert written is not None
    assert {cells[1].strip("`") for cells in rows(written[0])} == given


def test_limits_are_those_of_the_code() -> None:
    for limit in (frames.MAX_HEADER_BYTES, frames.MAX_OUTPUT_ITEMS):
        assert f"{limit:,}" in TEXT
    assert f"at most {frames.MAX_OUTPUT_DEPTH} containers deep" in TEXT
    assert f"|part| < {frames.MAX_AMPLITUDE:g}" in TEXT
    assert f"at most {frames.MAX_OUTPUT_BYTES:,}" in TEXT


def test_bytes_in_the_cost_table_are_those_of_the_golden_vectors() -> None:
    sizes = {
        vector["name"]: [str(len(frame) // 2) for frame in vector["frames"]]
        for vector in json.loads(ROOM.joinpath("golden.json").read_text(encoding="utf-8"))["vectors"]
    }
    written = rows(TEXT[TEXT.index("## 10.") : TEXT.index("## 11.")])
    assert len(written) > 5
    for name, *cells in written:
        assert cells == sizes[name], name
