"""Graphs of a pair, by which it runs without torch: `python -m training.export` writes them beside its weights.

Knows nothing about how they are made (`tracing.py`). The model id stays what it was.
"""

from typing import Any

import click

from common.cli import begin, invoke, shared_options
from common.console import say
from common.pair.manifest import find_pair


@click.command(help=__doc__.splitlines()[0])
@click.option("--pair", default="digits", show_default=True, help="Shipped name or folder of a pair.")
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    manifest = find_pair(options["pair"])
    from training.export.tracing import export

    apart = export(manifest)
    for file in sorted(manifest.path.glob("*.onnx")):
        say(f"{file}: {file.stat().st_size / 1024:.0f} KiB")
    say(f"from torch on noise, at most: features {apart.features:.1e}, logits {apart.logits:.1e} of 1 + the value; "
        f"{apart.differ} of {apart.symbols} symbols differ")  # fmt: skip


if __name__ == "__main__":
    invoke(main, "TRAINING_EXPORT", name="python -m training.export")
