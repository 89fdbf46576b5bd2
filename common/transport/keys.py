"""`python -m common.transport.keys`: makes this host's key pair, and says whose keys it trusts. Only translates.

Knows nothing about sockets. No secret key is ever shown.
"""

from pathlib import Path

import click

from common.cli import invoke
from common.console import say, tell
from common.errors import ConfigError
from common.files import UserPath
from common.transport.keystore import TOOL, Keys, default_folder, make_keys, parse_line

_HELP = """\b
Once on each host, for rxhost, emuhost and txhost:
  rxhost$  python -m common.transport.keys new rxhost        prints: rxhost KEY
  emuhost$ python -m common.transport.keys new emuhost
  txhost$  python -m common.transport.keys new txhost
and each host trusts the ones that it speaks with:
  rxhost$  python -m common.transport.keys trust emuhost KEY
  emuhost$ python -m common.transport.keys trust rxhost KEY
  emuhost$ python -m common.transport.keys trust txhost KEY
  txhost$  python -m common.transport.keys trust emuhost KEY
Then the three commands work between these hosts as they do on one. A change acts at once on who may connect to this
host: a key that is forgotten loses its connection. On whom this host itself connects to (--peer, --upstream) it acts
when that command is started again.
"""


@click.group(epilog=_HELP, context_settings={"max_content_width": 110})
@click.option("--keys", type=UserPath(), metavar="DIR", help="The folder.  [default: the user's own]")
@click.pass_context
def command(context: click.Context, keys: Path | None) -> None:
    """Keys of the link: this host's own pair, and the public keys that it trusts."""
    context.obj = keys or default_folder()
    if context.obj is None and context.invoked_subcommand is not None:
        raise ConfigError("this user has no home, so say where keys lie: --keys DIR")


@command.command("new")
@click.argument("name")
@click.pass_obj
def new(folder: Path, name: str) -> None:
    """Make this host's key pair; NAME is what other hosts call it. Prints the public key."""
    _show(make_keys(folder, name))


@command.command("show")
@click.pass_obj
def show(folder: Path) -> None:
    """Print this host's name and public key, as `trust` takes them."""
    _show(Keys(folder))


@command.command("list")
@click.pass_obj
def list_(folder: Path) -> None:
    """Print whom this host trusts: a name and a public key on each line."""
    for name, public in sorted(Keys(folder).trusted.items()):
        say(f"{name} {public.hex()}")


@command.command("trust")
@click.argument("name")
@click.argument("key")
@click.pass_obj
def trust(folder: Path, name: str, key: str) -> None:
    """Trust the public KEY of the host that this one calls NAME, its host name or address as in --peer."""
    keys, (name, public) = Keys(folder), parse_line(f"{name} {key}")
    if public == keys.own.secret:
        raise ConfigError("this is the secret key of this host: it is for nobody else; `show` prints the public one")
    before = keys.trusted.get(name, public)
    keys.trust(name, public)
    if before != public:
        tell(f"note: {name} had another key, {before.hex()}, which is trusted no longer")


@command.command("forget")
@click.argument("name")
@click.pass_obj
def forget(folder: Path, name: str) -> None:
    """Trust NAME no longer."""
    Keys(folder).forget(name)


def _show(keys: Keys) -> None:
    say(f"{keys.own.name} {keys.own.public.hex()}")


def main() -> None:
    """Entry point."""
    invoke(command, "SEMLINK", name=TOOL)


if __name__ == "__main__":
    main()
