"""Settings classes <-> click options, and errors in words of the Python API -> the same in flags.

Knows nothing about what any setting means. Type, range, default and text of an option are those of the field.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from common.check import Folder, Number, OneOf, Setting, Switch, Whole, settings_of
from common.errors import ConfigError, SemlinkError
from common.files import UserPath

F = TypeVar("F", bound=Callable[..., Any])


class Real(click.FloatRange):
    """A range of numbers; NaN, which no comparison finds outside, is none of them."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        number: float = super().convert(value, parameter, context)
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", parameter, context)
        return number


def setting_options(kind: type) -> Callable[[F], F]:
    """Add to a click command an option for each field of a settings class that a flag sets by itself."""

    def add(command: F) -> F:
        for name, default, about in reversed(list(settings_of(kind))):
            command = option(name, about, default)(command) if about.flag else command
        return command

    return add


def option(name: str, about: Setting, default: Any = None) -> Callable[[F], F]:
    """The click option of one setting, whose value comes as parameter `name`."""
    text = f"{about.text}  [default: {about.unset}]" if default is None and about.unset else about.text
    if isinstance(about.takes, Switch):
        return click.option(about.flag, name, is_flag=True, default=default, help=text)
    value = None if default is None else default if isinstance(default, int | float) else str(default)
    return click.option(
        about.flag, name, type=_click_type(about.takes), default=value, metavar=about.metavar or None, help=text
    )


def given(kind: type, options: Mapping[str, Any]) -> dict[str, Any]:
    """Of the values of a command's options those that are fields of a settings class."""
    return {name: options[name] for name, _, about in settings_of(kind) if about.flag}


def was_said(name: str, *options: str) -> bool:
    """Whether somebody said this name to one of the options of the command that runs, also among several (`a,b`,
    `dataset:a:test`), or to a function where none runs. A default was said by nobody."""
    context = click.get_current_context(silent=True)
    if context is None:
        return True
    said = {one: context.params.get(one) for one in options if name in re.split("[:,]", str(context.params.get(one)))}
    return any(context.get_parameter_source(one) != ParameterSource.DEFAULT for one in said)


@contextmanager
def in_flags(context: click.Context) -> Iterator[None]:
    """An error of ours that begins with a parameter of the Python API begins with the flag that sets it instead."""
    try:
        yield
    except SemlinkError as error:
        error.args = (_from_a_flag(str(error), context.command),)
        raise


def typed(told: str, command: click.Command) -> str:
    """What an error says, in flags alone: what it begins with, and what is to be given."""
    return say_flags(_from_a_flag(told, command), command)


def _from_a_flag(told: str, command: click.Command) -> str:
    flags = _flags(command)
    return re.sub(r"^(\w+)(?=[ :])", lambda found: flags.get(found[1], found[0]), told)


def say_flags(told: str, command: click.Command) -> str:
    """What an error says is to be given, `keys=DIR or insecure=True`, as it is typed: `--keys DIR or --insecure`."""
    flags = _flags(command)
    told = re.sub(r"\b(\w+)=True\b", lambda found: flags.get(found[1], found[0]), told)
    return re.sub(
        r"\b(\w+)=([A-Z]+)\b", lambda found: f"{flags[found[1]]} {found[2]}" if found[1] in flags else found[0], told
    )


def _flags(command: click.Command) -> dict[str, str]:
    """Parameter -> the flag that sets it."""
    return {str(one.name): max(one.opts, key=len) for one in command.params}


def _click_type(takes: object) -> Any:
    match takes:
        case Whole(low, high):
            return click.IntRange(low, high)
        case Number(low, high, above):
            return Real(_short(low), None if high == math.inf else _short(high), min_open=above)
        case OneOf(words):
            return click.Choice(words)
        case Folder():
            return UserPath()
        case _:
            return str


def _short(number: float) -> float:
    """0 is shown as such, and not as 0.0."""
    return number if number % 1 else int(number)


def numbers(option: str, text: str, kind: type) -> list[Any]:
    """The values of an option, with commas between them, each once. Raises ConfigError."""
    try:
        return list(dict.fromkeys(kind(one) for one in text.split(",")))
    except ValueError:
        raise ConfigError(f"--{option} '{text}': give numbers with commas between them") from None
