"""Publish a pair on the Hugging Face Hub, in one commit: its weights, its manifest, its card, and graphs if there are.

Knows nothing about who may do so: that is between huggingface_hub (`hf auth login`, or HF_TOKEN) and the Hub.
"""

import re
from pathlib import Path
from typing import Any

import click

from common.cli import begin, invoke, shared_options
from common.console import say, tell
from common.errors import ConfigError, SemlinkError, by_pip
from common.hub.library import brief
from common.hub.snapshot import is_repository
from common.pair.manifest import FILES, MORE_FILES, Manifest, find_pair, read_half

LAST = "Both sides refuse another, wherever they have it from."
OWN_HEAD = re.compile(rf"^---\nlibrary_name: semlink\n.*?{re.escape(LAST)}\n\n", re.S)


@click.command(help=__doc__.splitlines()[0])
@click.option("--pair", required=True, help="Shipped name or folder of a pair.")
@click.option(
    "--to", "repository", required=True, metavar="OWNER/NAME", help="Where on the Hub; made if it is not there."
)
@click.option("--private", is_flag=True, help="Make it so that others do not see it, if it is made now.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    manifest, repository = find_pair(options["pair"]), options["repository"]
    if not is_repository(repository) or "@" in repository:
        raise ConfigError(f"--to {repository}: give OWNER/NAME of the Hub, which is no folder here")
    files = contents(manifest, repository)
    for name, raw in files.items():
        tell(f"push: {name}, {len(raw) / 1024:.0f} KiB")
    if not options["dry_run"]:
        commit = publish(repository, files, f"Pair {manifest.name}, id {manifest.id}", options["private"])
        say(f"{repository}@{commit}, pair {manifest.name} ({manifest.id[:12]})")


def contents(manifest: Manifest, repository: str) -> dict[str, bytes]:
    """Name -> bytes of everything that goes there. Raises ModelError where the pair is not what its manifest says."""
    for half in ("encoder", "decoder"):
        read_half(manifest, half)
    paths: list[Path] = [manifest.path / name for name in FILES]
    for pattern in MORE_FILES:
        paths += sorted(manifest.path.glob(pattern))
    files = {path.name: path.read_bytes() for path in paths}
    card = OWN_HEAD.sub("", files.get("README.md", b"").decode("utf-8", "replace"))  # of where it came from
    return files | {"README.md": (head(manifest, repository) + card).encode()}


def head(manifest: Manifest, repository: str) -> str:
    """What the Hub reads at the top of a card, and how the pair is run."""
    return f"""---
library_name: semlink
tags: [semantic-communication, image-classification]
---
    scrx --model {repository} --listen 5555
    sctx --model {repository} --peer HOST:5555

Id of the pair: `{manifest.id}`. {LAST}

"""


def publish(repository: str, files: dict[str, bytes], message: str, private: bool) -> str:
    """Send them in one commit, whose name is returned. What lay there under other names stays.

    Raises ConfigError without the library, SemlinkError with what the Hub said.
    """
    try:
        from huggingface_hub import CommitOperationAdd, HfApi
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise ConfigError(f"the Hub needs huggingface_hub: install it by {by_pip('hub')}") from error
    api = HfApi()
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        adds = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=raw) for name, raw in files.items()]
        return str(api.create_commit(repository, adds, commit_message=message).oid)
    except Exception as error:  # the library raises its own, its client's and the system's errors
        if isinstance(error, HfHubHTTPError):  # it answered
            what = f"the Hub did not take it ({brief(error)}); log in with `hf auth login`, as somebody who may"
        else:
            what = f"the Hub cannot be reached, and nothing was sent ({brief(error)}); try again where it can"
        raise SemlinkError(what) from error


if __name__ == "__main__":
    invoke(main, "TRAINING_PUSH", name="python -m training.push")
