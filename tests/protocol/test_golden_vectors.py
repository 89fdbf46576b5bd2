"""The committed bytes of the wire: what was written once must be read, and written, for ever."""

import json
from dataclasses import fields
from enum import IntEnum
from importlib.resources import files
from typing import Any, get_args

import numpy as np
import pytest

from common.errors import ProtocolError
from common.protocol.frames import decode, encode
from common.protocol.messages import VERSION, Data, Kind, Message

GOLDEN = json.loads(files("common.protocol").joinpath("golden.json").read_text(encoding="utf-8"))
CLASSES = {cls.KIND.name: cls for cls in get_args(Message)}


def by_name(group: str) -> list[Any]:
    return [pytest.param(vector, id=vector["name"]) for vector in GOLDEN[group]]


def body(vector: dict[str, Any]) -> list[bytes]:
    return [bytes.fromhex(frame) for frame in vector["frames"]]


def told(message: Message) -> dict[str, Any]:
    """A message in the notation of the file: bytes as hex, enums as numbers, symbols as pairs."""
    values = {field.name: getattr(message, field.name) for field in fields(message)}
    if isinstance(message, Data):
        del values["payload"]
        if message.words is None:  # which older transmitters do not send
            del values["words"]
        values["symbols"] = [[float(x.real), float(x.imag)] for x in message.symbols]
    return {name: plain(value) for name, value in values.items()}


def plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, IntEnum):
        return int(value)
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def test_the_file_is_of_the_version_that_is_spoken_and_has_every_kind() -> None:
    assert GOLDEN["version"] == VERSION
    assert {vector["kind"] for vector in GOLDEN["vectors"]} == {kind.name for kind in Kind} == set(CLASSES)


@pytest.mark.parametrize("vector", by_name("vectors"))
def test_bytes_decode_to_the_fields_that_the_file_names(vector: dict[str, Any]) -> None:
    message = decode(body(vector))
    assert type(message) is CLASSES[vector["kind"]]
    assert told(message) == vector["fields"]


@pytest.mark.parametrize("vector", by_name("vectors"))
def test_fields_encode_to_the_same_bytes(vector: dict[str, Any]) -> None:
    assert encode(decode(body(vector))) == body(vector)


@pytest.mark.parametrize("vector", by_name("accepted"))
def test_other_ways_to_write_the_same_message_are_read(vector: dict[str, Any]) -> None:
    original = next(other for other in GOLDEN["vectors"] if other["name"] == vector["same_as"])
    assert body(vector) != body(original)
    assert decode(body(vector)) == decode(body(original))


@pytest.mark.parametrize("vector", by_name("refused"))
def test_bad_bytes_are_refused_with_the_reason_that_the_file_names(vector: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError) as refusal:
        decode(body(vector))
    assert refusal.value.reason == vector["reason"]


def test_symbols_are_little_endian_whatever_the_host() -> None:
    frames = next(v for v in GOLDEN["vectors"] if v["name"] == "data, round 0")["frames"]
    assert frames[2].startswith("0000803f00000000")  # 1 + 0j
    assert np.array_equal(decode([bytes.fromhex(f) for f in frames]).symbols[:2], [1, -1j])
