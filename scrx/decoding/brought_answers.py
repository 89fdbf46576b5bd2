"""What a brought decoder says of a frame -> what a RESULT can say of it, the same at both ends, or why it cannot.

Knows nothing about the decoder.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from common.check import real, text, whole
from common.errors import ConfigError, ProtocolError, SemlinkError
from common.protocol.frames import pack_outputs
from common.text import safe
from scrx.decoding.tasks import CLASSIFY, Embedding, Outputs, confidence_of

ROUNDING = 1e-5
"""A sum of float32 shares that is 1 may be so much more."""


_PLAIN = frozenset({type(None), bool, int, float, str})


class Unusable(SemlinkError):
    """An answer that cannot be sent, and why."""


def said(given: object, labels: Sequence[str], wide: int = 0) -> Outputs | Unusable:
    """{task: answer} in Python's own types, numbers of numpy among them or not; labels: names of the classes.

    A class is the number of a label, and its name is that label, also where none is said. A confidence is 0 to 1, 1
    where none is said.
    wide: numbers of the embedding that heads want; 0: none do.
    """
    if _is_sound(given, labels) and not wide:
        return given  # type: ignore[return-value]
    try:
        outputs = _plain(given)
        if not isinstance(outputs, dict) or not outputs or not all(isinstance(one, dict) for one in outputs.values()):
            raise ConfigError(f"an answer is {safe(repr(given))} and must be a dict for each task, by its name")
        if (classified := outputs.get(CLASSIFY)) is not None:
            _check_class(classified, labels)
        if wide:
            _check_embedding(outputs.get(Embedding.name, {}).get("vector"), wide)
        real("confidence", confidence_of(outputs), 0.0, 1.0)
        pack_outputs(outputs)
    except ProtocolError as error:
        return Unusable(f"the decoder's answer cannot be sent: {error}")
    except Exception as error:  # of a task's own `confidence`, or of an object that cannot even be shown
        why = str(error) if isinstance(error, ConfigError) else repr(error)
        return Unusable(f"the decoder's answer is of no use: {why}")
    return outputs


def _is_sound(given: object, labels: Sequence[str]) -> bool:
    """Whether it is a class and no more, in Python's own types: as nearly all are, and quick to see."""
    if type(given) is not dict or len(given) != 1 or type(answer := given.get(CLASSIFY)) is not dict:
        return False
    index, sure = answer.get("index"), answer.get("confidence")
    return (
        len(answer) == 3 and type(index) is int and 0 <= index < len(labels)
        and type(name := answer.get("name")) is str and name == labels[index]
        and type(sure) is float and 0.0 <= sure <= 1.0
    )  # fmt: skip


def _check_class(answer: dict[str, Any], labels: Sequence[str]) -> None:
    index = whole("index", answer.get("index"), 0, len(labels) - 1)
    if text("name", answer.setdefault("name", labels[index])) != labels[index]:
        raise ConfigError(f"name is {safe(repr(answer['name']))} and must be {safe(repr(labels[index]))}, of {index}")
    if "confidence" in answer:
        sure = answer["confidence"]
        rounded = isinstance(sure, float) and 1.0 < sure <= 1.0 + ROUNDING
        answer["confidence"] = 1.0 if rounded else real("confidence", sure, 0.0, 1.0)


def _check_embedding(vector: object, wide: int) -> None:
    if not isinstance(vector, list) or len(vector) != wide or not all(isinstance(one, int | float) for one in vector):
        raise ConfigError(f"heads need {Embedding.name!r}: {{'vector': [...]}}, a list of {wide} numbers")


def _plain(value: Any) -> Any:
    """The same with Python's numbers and text for numpy's, and dicts for other maps."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict | Mapping):  # the abstract class alone takes ten times as long to ask
        return {_plain(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
