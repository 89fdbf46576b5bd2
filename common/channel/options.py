"""Parameters of the channel and of the ways -> options of `channel-emu`. Knows nothing about what they mean."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from common.channel.spec.parameters import Parameter
from common.channel.spec.spec import CHANNEL
from common.channel.spec.ways import FEEDBACK, RETURN, TRANSIT

F = TypeVar("F", bound=Callable[..., Any])


def channel_options(command: F) -> F:
    """Add the flags that make a ChannelSpec."""
    return _speed_options(_add(command, CHANNEL.values(), with_defaults=True))


def change_options(command: F) -> F:
    """The flags of what may change while the channel runs; none has a default: what is not given stays as it is."""
    return _speed_options(_add(command, [one for one in CHANNEL.values() if one.live], with_defaults=False))


def transit_options(command: F) -> F:
    """Add the flags that make a TransitSpec for each direction, and a FeedbackSpec."""
    return _add(command, TRANSIT + RETURN + FEEDBACK, with_defaults=True)


def about_messages(given: dict[str, Any]) -> list[str]:
    """Flags that were given and that only frames can have."""
    flags = [one.flag for one in TRANSIT + RETURN + FEEDBACK if given[one.variable] != one.typed]
    return [*flags, *(["--truth"] if given["truth"] else [])]


def _add(command: F, parameters: Iterable[Parameter], with_defaults: bool) -> F:
    for one in reversed(list(parameters)):
        command = click.option(
            one.flag, type=type(one.typed), metavar=one.metavar, default=one.typed if with_defaults else None,
            help=one.text, show_default=with_defaults and one.typed != "",
        )(command)  # fmt: skip
    return command


def _speed_options(command: F) -> F:
    command = click.option("--carrier", type=float, metavar="HZ", help="Carrier frequency, for --speed.")(command)
    text = "Instead of --doppler: speed in m/s, with --carrier and --rate."
    return click.option("--speed", type=float, metavar="M/S", help=text)(command)
