"""`channel-emu`: the command line of the emulator. Knows nothing about how a channel is computed."""

import time
from pathlib import Path
from typing import Any

import click

from common.channel.options import channel_options, channel_parameters, transit_options, transit_parameters
from common.cli import begin, invoke, shared_options

_EPILOG = """\b
Examples:
  channel-emu --snr 5 --fading rayleigh
  channel-emu --listen 5555 --upstream rxhost:5555 --insecure
"""


@click.group(invoke_without_command=True, context_settings={"max_content_width": 110}, epilog=_EPILOG)
@channel_options
@transit_options
@click.option("--listen", default="5556", show_default=True, metavar="ADDRESS", help="Where transmitters connect.")
@click.option("--upstream", default="127.0.0.1:5555", show_default=True, metavar="HOST:PORT", help="The receiver.")
@click.option("--insecure", is_flag=True, help="Let other hosts connect without encryption.")
@click.option(
    "--truth",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write what the channel did to each frame, as JSON lines. It never goes to the receiver.",
)
@shared_options
@click.pass_context
def command(context: click.Context, /, log_level: str, debug: bool, **given: Any) -> None:
    """Put a radio channel between transmitters and a receiver.

    Every message is forwarded as it is; only the symbols of data frames go through the channel.
    """
    begin(context, log_level)
    if context.invoked_subcommand is None:
        _run(given)


def _run(given: dict[str, Any]) -> None:
    import zmq

    from common.channel.channel import Channel
    from common.channel.proxy import Proxy
    from common.channel.spec import ChannelSpec
    from common.channel.transit import TransitSpec
    from common.channel.truth import TruthLog
    from common.transport.signals import StopFlag
    from common.transport.sockets import parse_listen, parse_peer

    spec = ChannelSpec(**channel_parameters(given))
    transit = TransitSpec(**transit_parameters(given))
    listen = parse_listen(given["listen"], given["insecure"])
    upstream = parse_peer(given["upstream"], "--upstream")
    stop = StopFlag()
    truth = TruthLog(given["truth"]) if given["truth"] else None
    context = zmq.Context[zmq.Socket[bytes]]()
    try:
        proxy = Proxy(context, Channel(spec), listen, upstream, transit, truth)
        _tell(f"listening on {proxy.address}, forwarding to {upstream}")
        _tell(f"channel: {spec.describe()}")
        begun = time.monotonic()
        try:
            while not stop:
                proxy.step()
        finally:
            proxy.close()
        counts = ", ".join(f"{name} {count}" for name, count in sorted(proxy.counts.items())) or "no messages"
        _tell(f"stopped after {time.monotonic() - begun:.1f} s: {counts}")
    finally:
        context.term()
        if truth:
            truth.close()


def _tell(line: str) -> None:
    from rich.console import Console

    Console(stderr=True, highlight=False).print(f"[bold]channel-emu[/] {line}", soft_wrap=True)


def main() -> None:
    """Entry point of the `channel-emu` script."""
    invoke(command, "CHANNEL_EMU")
