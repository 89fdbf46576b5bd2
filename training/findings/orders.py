"""Which results the report wants, and the command of each. Knows nothing about what comes of them.

Data sets are named as folders are: `cifar10` beside the project's root, or whatever --dataset-folder says.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from common.errors import ConfigError, SemlinkError
from common.pair.manifest import find_pair
from training.findings.order import STREAM, Order
from training.findings.result import SCHEMA, Result
from training.findings.retrained import GROUPS
from training.report.measured_on import commit, machine

LOOP = "-m training.closed_loop --direct --pilots 8"
LATE = "--cycles 20 --experiments delay,loss,bias --loop-systems fixed,adaptive@price,genie"
SWEPT = "--experiments snr --systems robust,average,adaptive,adaptive+ir,genie"
ENROLLED = ("-m training.enrolment --pair {} --dataset tinyimagenet100-enrol20 --own tinyimagenet100"
            " --examples 1,5,20 --symbols 16,32,56 --snr 0,5,10 --draws 100")  # fmt: skip
APART = ("airplane,automobile", "bird,cat", "deer,dog,frog", "horse,ship,truck")
"""Classes of `cifar10` that a pair of its own misses, in every step: all ten, by the alphabet."""
UNMET = (
    "-m training.enrolment --pair {pair} --dataset {folder}/new --own {folder}/known"
    " --examples 1,5,20 --symbols 16,32,56 --snr 0,5,10 --draws 100"
)
WORDS = ("-m training.evaluate --pair {} --dataset %s --channel awgn --csi known --symbols 16"
         " --snr=-10,-6,-3,0,3,6,10,20 --seeds 1 --words %s")  # fmt: skip
EACH_WORD = WORDS % ("tinyimagenet100", "told,1,2,3,4,5,6,8,10,12,14,16")
TAUGHT = (
    "-m training.fractions --recipe tinyimagenet100-small --dataset tinyimagenet100 --teacher build/teachers/lite0"
    ' --rows "true labels,{}"'
)


def of_seed(seed: int, words: str) -> Order:
    """The same of a pair of another training seed. words: with a place for the pair."""
    pair = f"build/pairs/tinyimagenet100-seed-{seed}"
    trained = (f"training.distill --recipe tinyimagenet100 --dataset tinyimagenet100 --teacher build/teachers/lite0"
               f" --seed {seed} --out {pair}")  # fmt: skip
    return Order(words.format(pair), (pair,), training_seeds=(seed,), trains=f"python -m {trained}")


def without(number: int) -> Order:
    """A pair that misses the classes of this split, and these classes enrolled. number: from 1."""
    pair, folder, teacher = (f"build/{kind}/cifar10-apart-{number}" for kind in ("pairs", "apart", "teachers"))
    made = (
        f"python -m training.enrolment.apart --dataset cifar10 --classes {APART[number - 1]} --out {folder}",
        f"python -m training.teacher --recipe cifar10-apart --dataset {folder}/known --out {teacher}",
        f"python -m training.distill --recipe cifar10-apart --dataset {folder}/known --teacher {teacher} --out {pair}",
        f"python -m training.enrolment.whiten --pair {pair} --dataset {folder}/known",
    )
    return Order(UNMET.format(pair=pair, folder=folder), (pair,), trains=" && ".join(made))


def short(name: str, flags: str) -> Order:
    """Ours and the label code of a pair that saw `cifar10` four times. name, flags: what it differs by."""
    pair, teacher = f"build/pairs/{name}", "build/teachers/cifar10-apart"
    made = (
        f"python -m training.teacher --recipe cifar10-apart --dataset cifar10 --out {teacher}",
        f"python -m training.distill --recipe cifar10-apart --dataset cifar10 --teacher {teacher} --epochs 4 {flags}"
        f" --out {pair}",
    )
    words = f"-m training.evaluate --suite cifar10 --dataset cifar10 --pair {pair} --only ours,label-code --images 2000"
    return Order(words, (pair,), "--out/cifar10.json", trains=" && ".join(made))


SHORT = "cifar10-short-seed-0"
SHORT_SIZES = {f"cifar10-short-{size.replace(',', '-')}": size for size in ("8,1,2", "16,1,2", "16,1,1")}
"""Transmitters by WIDTH,BLOCKS,STRIDE; that of SHORT is the recipe's."""
RECIPE_SIZE = "16,3,1"

ORDERS: Mapping[str, Order] = {
    "sizes": Order("-m training.experiments.sizes", ("digits", "cifar10", "tinyimagenet100"), seed=None),
    "stages": Order("deploy/edge/stages.py digits cifar10 tinyimagenet100 vit --json",
                    ("digits", "cifar10", "tinyimagenet100"), STREAM, None),
    "stages-torch": Order("deploy/edge/stages.py digits cifar10 tinyimagenet100 --backend torch --json",
                          ("digits", "cifar10", "tinyimagenet100"), STREAM, None),
    "computing-digits": Order("-m training.suites.computing --suite quick", ("digits",), seed=None),
    **{f"computing-{pair}": Order(f"-m training.suites.computing --suite {pair} --dataset {pair}", (pair,),
                                  seed=None) for pair in ("cifar10", "tinyimagenet100")},
    "loop-digits": Order(f"{LOOP} --cycles 100 {SWEPT}", ("digits",), "--out/closed_loop.json"),
    "late-digits": Order(f"{LOOP} {LATE}", ("digits",), "--out/closed_loop.json"),
    **{f"late-{pair}": Order(f"{LOOP} --pair {pair} --dataset {pair} {LATE}", (pair,), "--out/closed_loop.json")
       for pair in ("cifar10", "tinyimagenet100")},
    **{f"loop-{pair}": Order(f"{LOOP} --pair {pair} --dataset {pair} --cycles 40 {SWEPT}", (pair,),
                             "--out/closed_loop.json") for pair in ("cifar10", "tinyimagenet100")},
    "misled-digits": Order("-m training.experiments.misled --channel awgn,block-rayleigh --snr 0,10 --bias 6,-6"
                           " --streams 64", ("digits",)),
    "words-cifar10": Order((WORDS % ("cifar10", "told,4,8,16")).format("cifar10"), ("cifar10",)),
    "words-tinyimagenet100": Order(EACH_WORD.format("tinyimagenet100"), ("tinyimagenet100",)),
    **{f"words-tinyimagenet100-seed-{seed}": of_seed(seed, EACH_WORD) for seed in (1, 2)},
    "enrolment-tinyimagenet100": Order(ENROLLED.format("tinyimagenet100") + " --teacher build/teachers/lite0",
                                       ("tinyimagenet100",)),
    **{f"enrolment-tinyimagenet100-seed-{seed}": of_seed(seed, ENROLLED) for seed in (1, 2)},
    **{f"apart-cifar10-{number}": without(number) for number in range(1, len(APART) + 1)},
    SHORT: short(SHORT, "--seed 0"),
    **{name: short(name, f"--encoder {size}") for name, size in SHORT_SIZES.items()},
    **{name: one for group in GROUPS for name, one in group.orders.items()},
    "fractions-digits": Order('-m training.fractions --fractions 0.1 --rows "true labels,teacher of all"', (),
                              seed=None, training_seeds=(0, 1, 2)),
    "fractions-tinyimagenet100": Order(TAUGHT.format("teacher of all") + " --fractions 1", (), seed=None,
                                       training_seeds=(0, 1, 2)),
    "fractions-tinyimagenet100-own": Order(TAUGHT.format("teacher of the same") + " --fractions 1", (), seed=None,
                                           training_seeds=(0, 1, 2)),
    "fractions-tinyimagenet100-tenth": Order(
        TAUGHT.format("teacher of all,teacher of the same") + " --fractions 0.1 --epochs 30", (), seed=None,
        training_seeds=(0, 1, 2)),
    "encodings-tinyimagenet100": Order(
        "-m training.ablate --recipe tinyimagenet100-small --dataset tinyimagenet100 --teacher build/teachers/lite0"
        ' --only "encoding int8,embedding 256,views 1" --symbols 16 --channels 1', (), seed=None,
        training_seeds=(0, 1, 2)),
    "savings-digits": Order("-m training.savings --images 1024", (), seed=None, training_seeds=()),
    "savings-tinyimagenet100": Order("-m training.savings --recipe tinyimagenet100 --dataset tinyimagenet100"
                                     " --teacher build/teachers/lite0 --images 512 --online-images 64", (), seed=None,
                                     training_seeds=()),
    "savings-vit": Order("-m training.savings --recipe cifar10 --dataset cifar10 --untrained-vit --images 768"
                         " --online-images 32", (), seed=None, training_seeds=()),
}  # fmt: skip


def order(name: str) -> Order:
    """An order by its name. ConfigError for one that there is not."""
    if name not in ORDERS:
        raise ConfigError(f"--measure {name}: there are {', '.join(ORDERS)}")
    return ORDERS[name]


def measured(name: str, more: Sequence[str] = ()) -> Result:
    """Run an order's command; what it found. more: further words. SemlinkError where the command fails."""
    import shlex

    asked = order(name)
    with TemporaryDirectory() as folder:
        option, _, file = asked.writes.partition("/")
        place = Path(folder) / (file or f"{name}.json")
        out = [] if option == STREAM else [option, folder if file else str(place)]
        words = [sys.executable, *shlex.split(asked.words), *more, *out]
        ran = subprocess.run(words, check=False, stdout=subprocess.PIPE if option == STREAM else None)
        if ran.returncode:
            raise SemlinkError(f"`{asked.command}` ended with exit code {ran.returncode}")
        if option == STREAM:
            place.write_bytes(ran.stdout)
        return taken(name, place)


def taken(name: str, path: Path) -> Result:
    """What an order's command has written to `path`, as a result of this commit and machine.

    ConfigError where the file cannot be read, SemlinkError where it is of other pairs than the order's.
    """
    asked = order(name)
    try:
        raw = path.read_bytes()
        found = (
            {"lines": [json.loads(line) for line in raw.splitlines()]} if asked.writes == STREAM else json.loads(raw)
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not what `{asked.command}` writes: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: not what `{asked.command}` writes")
    pairs = {Path(one).name: find_pair(one).id for one in asked.pairs}
    if strange := _ids(found) - set(pairs.values()):
        raise SemlinkError(f"{path} is of pair {min(strange)[:12]}, which is none of the order's")
    return Result(SCHEMA, name, asked.command, commit(), machine(), pairs, asked.training_seeds, found, "")


def _ids(found: Mapping[str, Any]) -> set[str]:
    """Ids of pairs that a result names by itself."""
    pair = found.get("pair")
    said = {pair.get("id") if isinstance(pair, dict) else pair}
    for many, key in (("pairs", "id"), ("rows", "model_id")):
        said |= {one.get(key) for one in found.get(many, []) if isinstance(one, dict)}
    return {one for one in said if isinstance(one, str)}
