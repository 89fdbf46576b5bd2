"""What the flags of `channel-emu` describe: channel, ways, keys and addresses. Knows nothing about what is made of it.

given: what was typed, by the names that click gives it. All raise ConfigError where it cannot be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.channel.options import about_messages
from common.channel.spec.parameters import as_typed, from_flags
from common.channel.spec.spec import CHANNEL, ChannelSpec, channel_parameters, require_flat
from common.channel.spec.ways import FEEDBACK, RETURN, TRANSIT, FeedbackSpec, TransitSpec
from common.errors import ConfigError

if TYPE_CHECKING:
    from common.channel.streams.channel import Channel
    from common.channel.wire.addresses import Place
    from common.transport.keystore import Keys


def make_channel(given: dict[str, Any]) -> tuple[Channel, bool]:
    """The channel that the flags describe, and whether the wire is framed; what such a wire cannot use is refused."""
    from common.channel.files.schedule import load_schedule
    from common.channel.streams.channel import Channel
    from common.channel.streams.timeline import Plan

    framed = given["wire"] == "framed"
    if not framed and (flags := about_messages(given)):
        raise ConfigError(f"{', '.join(flags)}: about frames, and a raw wire (--wire cf32) has none")
    if framed and given["hop"]:
        raise ConfigError("--hop: for a raw wire (--wire cf32); a frame says itself how many emulators it has passed")
    with as_typed(CHANNEL.values()):
        if framed:
            require_flat(given["fading"], given["cfo"])
        spec = ChannelSpec(**channel_parameters(given))
        plan = Plan(spec, framed=framed)
    return Channel(load_schedule(given["schedule"], spec, framed) if given["schedule"] else plan), framed


def make_transit(given: dict[str, Any]) -> tuple[TransitSpec, TransitSpec, FeedbackSpec]:
    """What happens to messages on the way to the receiver, on the way back, and to the reports in them."""
    with as_typed(TRANSIT):
        transit = TransitSpec(**from_flags(given, TRANSIT))
    with as_typed(RETURN):
        back = TransitSpec(**from_flags(given, RETURN))
    with as_typed(FEEDBACK):
        return transit, back, FeedbackSpec(**from_flags(given, FEEDBACK))


def keys_of(given: dict[str, Any], framed: bool) -> Keys | None:
    """The keys of the link. A raw wire has none: what speaks there, such as GNU Radio, knows no keys."""
    from common.transport.keystore import find_keys

    if not framed and given["keys"]:
        raise ConfigError("--keys: a raw wire (--wire cf32) cannot be encrypted")
    return find_keys(given["keys"], given["insecure"]) if framed else None


def addresses_of(given: dict[str, Any], framed: bool, encrypted: bool) -> tuple[str, str]:
    """What to listen on and where to forward to."""
    from common.transport.endpoints import parse_listen, parse_peer

    if framed:
        listen = parse_listen(given["listen"], given["insecure"] or encrypted)
        return listen, parse_peer(given["upstream"], "--upstream")
    listen = _raw_address(given["listen"], "@", given["insecure"], "--listen")
    return listen, _raw_address(given["upstream"], ">", given["insecure"], "--upstream")


def control_address(given: dict[str, Any]) -> str:
    """A socket of this user's, unless an address in full says otherwise and --insecure that it is meant."""
    from common.control.private import control_to_bind

    return control_to_bind(given["control"], given["insecure"])


def places_of(listen: str, upstream: str, control: str, framed: bool) -> list[Place]:
    """All addresses, and which of them this process listens at."""
    from common.channel.wire.addresses import Place

    both = {"--listen": f"@{listen}", "--upstream": f">{upstream}"}
    both = both if framed else {"--listen": listen, "--upstream": upstream}
    return [Place("--control", control, True), *(Place(flag, at[1:], at[0] == "@") for flag, at in both.items())]


def _raw_address(text: str, usual: str, insecure: bool, flag: str) -> str:
    """`@address` to bind or `>address` to connect; `usual` where the text says neither."""
    from common.transport.endpoints import parse_listen, parse_peer

    side, address = (text[0], text[1:]) if text[:1] in ("@", ">") else (usual, text)
    return side + (parse_listen(address, insecure, flag, keyless=True) if side == "@" else parse_peer(address, flag))
