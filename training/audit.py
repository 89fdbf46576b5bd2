"""Whether what is measured is fair: `python -m training.audit` holds a pair, or any codec, to it.

What a comparison takes for granted: a batch of one equals a batch of many; unit power for each image; nothing of the
label but in the symbols, headers of frames included; a gain for each packet; SNR as defined; no sampling at test time.
Knows nothing about any check.
Exit code 1 where a check was not passed.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from common.cli import begin, invoke, shared_options
from common.errors import ConfigError, SemlinkError
from common.files import OutFile, write_json
from training.report.tabular import print_table
from training.systems.entrance import typed_alone

if TYPE_CHECKING:
    from training.auditing.finding import Finding

FEWEST = 60
"""Images of which something can be said."""


@click.command(help=__doc__.splitlines()[0])
@click.option("--pair", default="digits", show_default=True, help="Shipped name or folder of a pair.")
@click.option(
    "--codec",
    metavar="FILE.py:CLASS",
    callback=typed_alone,
    help="Audit this codec on the pair's images instead, also MODULE:CLASS. Runs its code.",
)
@click.option("--system", help="Audit this system of --suite instead, such as label-code.")
@click.option("--suite", default="quick", show_default=True, help="Whose fitted weights a --system has.")
@click.option("--symbols", type=click.IntRange(1), help="Of the pair, one of its rates. [default: all; of others 16]")
@click.option("--dataset", help="digits, a folder or a Hub id. [default: what the pair was trained on]")
@click.option("--split", help="[default: test, or validation where there is none]")
@click.option(
    "--images", type=click.IntRange(FEWEST), default=512, show_default=True, help="At most so many of the split."
)
@click.option("--json", "json_file", type=OutFile(), help="Write the findings here.")
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from training.auditing.examine import audit
    from training.auditing.opening import Where, of_codec, of_pair, of_system

    if options["codec"] and options["system"]:
        raise ConfigError("--codec and --system: one of them")
    where = Where(*(options[name] for name in ("suite", "pair", "dataset", "split", "images")))
    if options["codec"]:
        subject, more = of_codec(where, options["codec"], options["symbols"])
    elif options["system"]:
        subject, more = of_system(where, options["system"], options["symbols"])
    else:
        subject, more = of_pair(where, options["symbols"])
    found = list(audit(subject, more))
    about = {"subject": subject.name, "images": len(subject.labels), "symbols": subject.codec.symbols}
    _show(f"{subject.name}: {about['images']} images of {where.bench.dataset}, {about['symbols']} symbols", found)
    wrong = [one.check for one in found if not one.passed]
    if options["json_file"]:
        write_json(options["json_file"], {**about, "passed": not wrong, "checks": [asdict(one) for one in found]})
    if wrong:
        raise SemlinkError(f"{subject.name} did not pass {len(wrong)} of {len(found)} checks: {', '.join(wrong)}")


def _show(title: str, found: "Sequence[Finding]") -> None:
    verdict = {True: "passed", False: "FAILED"}
    rows = [(one.check, verdict[one.passed], f"{one.number:.4g}", one.allowed, one.says) for one in found]
    print_table(title, ("check", "", "number", "allowed", "what"), rows, left=("check", "", "allowed", "what"))


if __name__ == "__main__":
    invoke(main, "TRAINING_AUDIT")
