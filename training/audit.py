"""Whether what is measured is fair: `python -m training.audit` holds a pair to what a comparison takes for granted.

Knows nothing about any check. A batch of one equals a batch of many; unit power for each image; nothing of the label
but in the symbols, headers of frames included; a gain for each packet; SNR as defined; no sampling at test time.
Exit code 1 where a check was not passed.
"""

from dataclasses import asdict
from functools import partial
from typing import Any

import click

from common.cli import begin, invoke, shared_options
from common.errors import ConfigError, SemlinkError
from common.files import OutFile, write_json
from training.report.tabular import print_table

FEWEST = 60
"""Images of which something can be said."""


@click.command(help=__doc__.splitlines()[0])
@click.option("--pair", default="digits", show_default=True, help="Shipped name or folder of a pair.")
@click.option("--symbols", type=click.IntRange(1), help="One of the pair's rates. [default: all symbols]")
@click.option("--dataset", help="digits, a folder or a Hub id. [default: what the pair was trained on]")
@click.option("--split", default="test", show_default=True)
@click.option(
    "--images", type=click.IntRange(FEWEST), default=512, show_default=True, help="At most so many of the split."
)
@click.option("--json", "json_file", type=OutFile(), help="Write the findings here.")
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from training.auditing.examine import audit, of_pair
    from training.auditing.pair_codec import PairCodec
    from training.auditing.subject import Subject
    from training.systems.bench import Bench

    bench = Bench.open("", options["pair"], options["dataset"], options["split"], most=options["images"])
    manifest, more = of_pair(options["pair"])
    pilots, csi = manifest.layout.pilots, "perfect" if manifest.layout.pilots else "estimated"
    if options["symbols"] not in (None, *manifest.layout.rates):
        raise ConfigError(f"--symbols {options['symbols']} is not a rate of this pair: {manifest.layout.rates}")
    make = partial(PairCodec, options["pair"], options["symbols"])
    subject = Subject(manifest.name, make, bench.images, bench.labels, pilots, csi, elsewhere=True)
    found = list(audit(subject, more))
    verdict = {True: "passed", False: "FAILED"}
    rows = [(one.check, verdict[one.passed], f"{one.number:.4g}", one.allowed, one.says) for one in found]
    title = f"{subject.name}, {len(bench.labels)} images of {bench.dataset}, {subject.codec.symbols} symbols"
    print_table(title, ("check", "", "number", "allowed", "what"), rows, left=("check", "", "allowed", "what"))
    wrong = [one.check for one in found if not one.passed]
    if options["json_file"]:
        document = {"subject": subject.name, "images": len(bench.labels), "symbols": subject.codec.symbols}
        write_json(options["json_file"], {**document, "passed": not wrong, "checks": [asdict(one) for one in found]})
    if wrong:
        raise SemlinkError(f"{subject.name} did not pass {len(wrong)} of {len(found)} checks: {', '.join(wrong)}")


if __name__ == "__main__":
    invoke(main, "TRAINING_AUDIT")
