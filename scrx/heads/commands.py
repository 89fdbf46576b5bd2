"""`scrx enrol` and `scrx heads`: a running receiver is asked over its control port. Only translates.

Knows nothing about embeddings or files of heads; what is asked is answered in `desk.py`.
"""

import time
from pathlib import Path
from typing import Any

import click

from common.console import say, say_json, tell
from common.control.client import Client, is_text, is_whole
from common.errors import ConfigError, LinkDown, SemlinkError
from common.files import OutFile, UserPath, write_atomic
from common.flags import Real
from common.live.enrolling import HEAD
from common.live.enrolling import SHAPES as ENROLLING

POLL_S = 0.2
USUAL_PORT = "5558"
_SHAPES = {
    **ENROLLING,
    "heads": {"heads": lambda value: isinstance(value, list), "model": is_text, "folder": is_text},
    "classes": {"classes": lambda value: isinstance(value, list)},
    "save": {"raw": lambda value: isinstance(value, bytes)},
    "load": {"classes": is_whole},
}  # fmt: skip
_CONTROL = click.option(
    "--control", default=USUAL_PORT, show_default=True, metavar="PORT", help="The receiver's control port (--control)."
)
_HEAD = click.argument("head")


@click.command()
@click.argument("name")
@click.option("--next", "count", required=True, type=int, metavar="N", help="From the next N pictures that it answers.")
@click.option("--session", default="", metavar="HEX", help="Of this transmitter, or the first digits of its session.")
@click.option("--head", default=HEAD, show_default=True, help="The head that the class belongs to.")
@click.option("--group", default="", help="A class above it, such as animal: answers then say that, too.")
@click.option("--more", is_flag=True, help="The class may be there: these examples are added to its own.")
@click.option("--timeout", default=600.0, show_default=True, type=Real(0.1), metavar="SECONDS",
              help="How long to wait for the pictures.")  # fmt: skip
@_CONTROL
def enrol(name: str, count: int, timeout: float, control: str, **given: Any) -> None:
    """Teach a running receiver the class NAME from pictures that it is about to receive.

    The transmitter is not told: let it send pictures of that class, `sctx --source FOLDER`.
    """
    with _receiver(control) as receiver:
        ticket = receiver.ask({"op": "enrol", "name": name, "next": count, **given})["ticket"]
        tell(f"scrx enrol: waiting for {_pictures(count)} of '{name}'")
        try:
            found = _wait(receiver, ticket, name, timeout)
        except KeyboardInterrupt:
            receiver.ask({"op": "give-up", "ticket": ticket})
            raise click.Abort from None
    came = f"{_pictures(found['of'])} of session {found['session']}{found['without']}"
    say(f"'{name}' is enrolled in head '{given['head']}' from {came}")


def _wait(receiver: Client, ticket: int, name: str, timeout_s: float) -> dict[str, Any]:
    until, had = time.monotonic() + timeout_s, 0
    while True:
        try:
            found = receiver.ask({"op": "enrolling", "ticket": ticket})
        except LinkDown as error:
            raise LinkDown(f"{error}; `scrx heads classes` tells then whether '{name}' is enrolled") from None
        if found["done"]:
            return found
        if found["have"] != had:
            had = found["have"]
            tell(f"scrx enrol: {had} of {found['of']}")
        if time.monotonic() > until:
            receiver.ask({"op": "give-up", "ticket": ticket})
            came = f"only {had} of {_pictures(found['of'])} came within {timeout_s:g} s (--timeout){found['without']}"
            raise SemlinkError(f"{came}: '{name}' was not enrolled")
        time.sleep(POLL_S)


def _pictures(count: int) -> str:
    return f"{count} picture{'s' * (count != 1)}"


@click.group()
def heads() -> None:
    """The heads of a running receiver: list, classes, save, load, remove."""


@heads.command("list")
@_CONTROL
def list_(control: str) -> None:
    """Show each head: classes, examples and the SHA-256 of its file, as JSON."""
    found = _ask(control, {"op": "heads"})
    say_json({name: found[name] for name in ("model", "folder", "heads")}, indent=2)


@heads.command()
@_HEAD
@_CONTROL
def classes(head: str, control: str) -> None:
    """Show the classes of HEAD as JSON."""
    say_json(_ask(control, {"op": "classes", "head": head})["classes"], indent=2)


@heads.command()
@_HEAD
@click.argument("file", type=OutFile())
@click.option("--overwrite", is_flag=True, help="Let it replace what is there already.")
@_CONTROL
def save(head: str, file: Path, overwrite: bool, control: str) -> None:
    """Write HEAD to FILE, to be loaded by another receiver of the same pair."""
    if file.exists() and not overwrite:
        raise ConfigError(f"{file}: there is such a file already; name another, or add --overwrite")
    raw = _ask(control, {"op": "save", "head": head})["raw"]
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, raw)
    say(f"{file}: {len(raw)} bytes")


@heads.command()
@click.argument("file", type=UserPath(exists=True, dir_okay=False))
@click.option("--as", "head", help="Name of the head.  [default: that of the file]")
@_CONTROL
def load(file: Path, head: str | None, control: str) -> None:
    """Let the receiver answer by the head in FILE, too, from now on."""
    from scrx.heads.head import LARGEST

    with file.open("rb") as opened:
        raw = opened.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise ConfigError(f"{file} has more than {LARGEST} bytes: it is no head")
    name = head or file.name.removesuffix(".safetensors")
    found = _ask(control, {"op": "load", "head": name, "raw": raw})
    say(f"head '{name}': {found['classes']} classes")


@heads.command()
@_HEAD
@click.option("--class", "name", default="", help="Only this class of it.")
@_CONTROL
def remove(head: str, name: str, control: str) -> None:
    """Forget HEAD, or one class of it; its file goes, too."""
    _ask(control, {"op": "remove", "head": head, "name": name})
    say(f"'{name}' is no longer in head '{head}'" if name else f"head '{head}' is removed")


def _receiver(control: str) -> Client:
    from common.control.private import control_to_ask

    return Client(control_to_ask(control), "receiver", "scrx", _SHAPES)


def _ask(control: str, request: dict[str, Any]) -> dict[str, Any]:
    with _receiver(control) as receiver:
        return receiver.ask(request)
