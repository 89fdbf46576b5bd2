"""Fit what a pair is compared with, on the same images, with the same number of trials: `python -m training.baseline`.

Knows nothing about how a method works or is measured; `python -m training.evaluate --suite` does that.

Trials and whatever is chosen see train and its held-out part alone, never the test images. One thread; a run that was
killed goes on after its last finished trial. What was tried, what it took and what was chosen is in NAME.json.
"""

import sys
from pathlib import Path
from typing import Any

import click

from common.cli import begin, invoke, shared_options
from common.console import tell
from common.errors import ConfigError
from common.files import OutFolder, write_json
from training.data.images import skip_bad_option
from training.distillation.provenance import without_paths
from training.report.tabular import print_table


@click.command(help=__doc__.splitlines()[0])
@click.option(
    "--suite", default="quick", show_default=True, help="Whose pair and data: quick, cifar10, tinyimagenet100."
)
@click.option("--system", "systems", required=True, help="dt-jscc, vfe, separate, pq-code ...; with commas.")
@click.option("--trials", default=8, show_default=True, help="Settings that are tried, as many for each system.")
@click.option("--cpu-seconds", default=1800.0, show_default=True, help="After which no further trial is begun.")
@click.option("--pair", help="Shipped name or folder of a pair. [default: the suite's]")
@click.option("--dataset", help="digits, a folder or a Hub id. [default: what the pair was trained on]")
@click.option(
    "--teacher", help="Folder or Hub id: it is `teacher`, and classifies pictures. [default: the recipe's; the pair]"
)
@click.option("--images", type=int, help="Of teacher: only so many test images, as the suite has. [default: all]")
@skip_bad_option
@click.option("--published", metavar="MNIST", help="Hold dt-jscc or vfe, in its paper's form, to a figure on this set.")
@click.option("--epochs", default=40, show_default=True, help="Of --published alone.")
@click.option("--out", type=OutFolder(), help="Folder of weights. [default: where the suite looks for them]")
@click.option("--build", type=OutFolder(), default=Path("build/baselines"), show_default=True, help="Trials so far.")
@click.option("--seed", default=0, show_default=True, help="Seed of weights, batches and draws of settings.")
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from common.pair.device import limit_threads
    from training.baselines import label_code, picture_codes, variants_of_ours
    from training.trained.learned import FAMILIES
    from training.trained.of_ours import NAME

    names = options["systems"].split(",")
    known = (NAME, *FAMILIES, *variants_of_ours.NAMES, *picture_codes.NAMES, *label_code.NAMES)
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"--system {unknown[0]} is not fitted by this command: it has {', '.join(known)}")
    if options["trials"] < 1 or not options["cpu_seconds"] > 0:
        raise ConfigError("--trials must be at least 1 and --cpu-seconds above 0")
    if options["images"] is not None and options["images"] < 1:
        raise ConfigError(f"--images must be at least 1, not {options['images']}")
    limit_threads(1)
    if options["published"]:
        for name in names:
            show_published(name, options["published"], options["epochs"], options["build"], options["out"])
    else:
        fit(names, options)


def fit(names: list[str], options: dict[str, Any]) -> None:
    """Fit each system on the suite's pair and images, and tell what that took."""
    from training.baselines import label_code, label_words, picture_codes, picture_fitting, variants_of_ours
    from training.suites.definitions import find_suite
    from training.suites.whole import Order, bench_of
    from training.trained.learned import FAMILIES, spent_on_ours
    from training.trained.of_ours import NAME, OursTuning
    from training.trained.trying import Budget
    from training.trained.tuning import Tuning

    suite, teacher = find_suite(options["suite"]), options["teacher"]
    order = Order(Path(), pairs=[options["pair"]] if options["pair"] else [], dataset=options["dataset"],
                  most=options["images"], skip_bad=options["skip_bad"])  # fmt: skip
    bench = bench_of(suite, order)
    if options["out"]:
        bench.fit_into(options["out"])
    rows = []
    for name in names:
        if name in variants_of_ours.NAMES:  # the pair's own recipe with one thing changed: nothing is chosen
            made = variants_of_ours.make(bench, name, options["seed"], teacher=teacher, command=typed())
            tell(f"{name}: {made}")
            continue
        if name in label_code.NAMES:  # words for any pair: they depend on the number of classes alone
            tell(f"{name}: {label_words.keep(options['out'] or label_words.SHIPPED.parent)}")
            continue
        if name in picture_codes.NAMES:
            document = picture_fitting.fit(bench, name, suite.n, tell, teacher)
            write_json(bench.fitted / f"{name}.json", {**document, "command": typed()}, indent=None)
            continue
        out = bench.weights(name)
        budget, build = Budget(options["trials"], options["cpu_seconds"]), options["build"] / options["suite"]
        given = (bench, budget, build, options["seed"])
        trials = OursTuning(*given, teacher) if name == NAME else Tuning(FAMILIES[name], *given)
        document = trials.run(out, typed())
        tell(f"{name}: {out.with_suffix('.json')}")
        rows.append(row(document, spent_on_ours(bench)))
    if rows:
        headings = ("system", "trials", "tuning CPU s", "fitting CPU s", "ours", "%", "held to")
        print_table("fitted; accuracy of held-out images", headings, rows, left=("system",))


def show_published(name: str, dataset: str, epochs: int, build: Path, out: Path | None) -> None:
    """Train a method on its paper's data, tell how near it comes to its figure, and write that down."""
    from training.trained.published import FIGURES, hold, place_of

    if name not in FIGURES:
        raise ConfigError(f"--published: of {name} there is no figure to hold it to; of {', '.join(FIGURES)} there is")
    command = f"python -m training.baseline --system {name} --published MNIST --epochs {epochs}"
    found = hold(name, dataset, epochs, build / "published" / name, command)
    write_json((out or place_of(name).parent) / f"{name}.json", found)
    for one in found["held_to"]:
        tell(f"{one['what']}: {100 * one['measured']:.1f} %, at least {100 * one['bound']:.1f}")


def row(document: dict[str, Any], own: dict[str, Any] | None) -> tuple[str, ...]:
    """What a system took beside what ours took, its accuracy on held-out images, and the checks that it holds."""
    spent = document["spent"]
    held = [one["holds"] for one in document["held_to"]]
    beside = "unknown" if own is None else f"{own['trials']} in {own['tuning_cpu_s']:.0f} s"
    return (document["system"], str(spent["trials"]), f"{spent['tuning_cpu_s']:.0f}", f"{spent['fitting_cpu_s']:.0f}",
            beside, f"{100 * document['validation']['accuracy']:.1f}", f"{sum(held)} of {len(held)}")  # fmt: skip


def typed() -> str:
    """The command as it was typed, paths cut down to their last part."""
    return " ".join(["python -m training.baseline", *without_paths(sys.argv[1:])])


if __name__ == "__main__":
    invoke(main, "TRAINING_BASELINE")
