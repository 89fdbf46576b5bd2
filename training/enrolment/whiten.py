"""What a receiver needs to enrol new classes: `python -m training.enrolment.whiten` measures a pair's embedding.

Knows nothing about the classes that will be enrolled. The pictures are of the pair's own validation split, which nobody
was trained on; they go through the emulator's channel at every rate, and the receiver estimates it as on the link. The
pair and its id stay as they are: another file lies beside it, which names the pair that it belongs to.
"""

from typing import Any

import click

from common.cli import begin, invoke, shared_options
from common.console import say
from common.files import OutFile, write_atomic
from common.pair.manifest import find_pair
from common.pair.origin import dataset_of
from training.report.tabular import print_table


@click.command(help=__doc__.splitlines()[0])
@click.option("--pair", default="digits", show_default=True, help="Shipped name or folder of a pair.")
@click.option("--dataset", help="digits, a folder or a Hub id. [default: what the pair was trained on]")
@click.option("--split", default="validation", show_default=True, help="Pictures that nobody was trained on.")
@click.option("--most", default=2500, show_default=True, type=click.IntRange(8), help="Pictures that are used at most.")
@click.option("--seed", default=0, show_default=True, help="Seed of the channels and draws.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda ...")
@click.option("--out", type=OutFile(), help="[default: space.safetensors in the pair's folder]")
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    from scrx.heads.space import FILE, parse_space
    from training.enrolment.episodes import rows_of
    from training.enrolment.heard import heard_everywhere, images_for
    from training.enrolment.sent import own_features
    from training.enrolment.whitening import fit_space

    manifest = find_pair(options["pair"])
    out = options["out"] or OutFile().convert(str(manifest.path / FILE), None, None)
    dataset = options["dataset"] or dataset_of(manifest)
    images = images_for(manifest, dataset, options["split"], options["most"])
    heard = heard_everywhere(manifest, images, options["seed"], options["device"])
    made_of = f"{images.name}, {options['split']}, {len(images)} images, seed {options['seed']}"
    clean = rows_of(own_features(manifest, images), images.labels)
    space = fit_space(heard, clean, manifest.id, manifest.name, made_of, seed=options["seed"])
    raw = space.packed()
    parse_space(raw)  # what a receiver would not read is not left there
    write_atomic(out, raw)
    edges = [0.0, *space.about.edges, float("inf")]
    rows = [
        (f"{edges[k]:.1f} to {edges[k + 1]:.1f}", f"{space.noise[k]:.3f}", f"{space.tail[k]:g}",
         f"{space.temperature[k]:.2f}",
         *(f"{value:.1f}" for value in space.limits[k, :, 2]))
        for k in range(len(space.noise))
    ]  # fmt: skip
    headings = ("bits", "noise", "tail", "temperature", *(f"limit, {count:g} examples" for count in space.about.counts))
    print_table(f"the embedding of {manifest.name}; limits: 5 % of an enrolled class are below", headings, rows)
    say(f"{out}: {len(raw)} bytes, pair {manifest.id[:12]}, {made_of}")


if __name__ == "__main__":
    invoke(main, "TRAINING_ENROLMENT_WHITEN")
