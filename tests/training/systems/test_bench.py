"""What every system is given: own decisions, costs, and images that are not mixed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from common.images.imageset import ImageSet
from common.pair.manifest import Manifest, find_pair
from sctx.encoder import load_encoder
from training.data.images import fingerprint
from training.suites.definitions import find_suite
from training.suites.whole import place_of
from training.systems import bench as benches
from training.systems.bench import Bench
from training.systems.system import NotThere


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench.open("quick", "digits")


def test_the_transmitters_own_decision_is_that_of_the_pair_without_noise(bench: Bench) -> None:
    assert bench.tx_accuracy == np.mean(bench.decide(bench.images) == bench.labels)
    assert 0.97 < bench.tx_accuracy <= 1
    alone = np.concatenate([bench.decide(one[None]) for one in bench.images[:20]])
    assert (alone == bench.tx_decided()[:20]).all()


def test_images_to_choose_on_are_not_among_those_to_fit_on_or_to_measure(bench: Bench) -> None:
    splits = [{one.tobytes() for one in part.images} for part in (bench.train(), bench.validation(), bench.test)]
    sizes = [len(part) for part in (bench.train(), bench.validation(), bench.test)]
    assert sizes == [1137, 300, 360]
    assert sum(map(len, splits)) == len(splits[0] | splits[1] | splits[2])
    assert bench.data == fingerprint(bench.test)


def test_every_transmitter_decides_and_its_cost_has_the_layer_that_does(bench: Bench) -> None:
    encoder = load_encoder(bench.manifest)
    parameters, macs = bench.encoder_cost
    assert parameters == sum(one.numel() for one in encoder.parameters())
    body = sum(one.numel() for name, one in encoder.named_parameters() if not name.startswith("head."))
    decides = bench.manifest.features * len(bench.classes)
    assert parameters - body == decides + len(bench.classes)
    assert macs > decides


def test_a_bench_of_few_images_has_the_first_ones(bench: Bench) -> None:
    few = Bench.open("quick", "digits", most=7)
    assert (few.images == bench.images[:7]).all()
    assert (few.labels == bench.labels[:7]).all()


def another(**notes: str) -> Manifest:
    """The shipped digits pair as if somebody had made it otherwise."""
    own = find_pair("digits")
    return replace(own, id="f" * 64, path=Path("build/pairs/mine"), provenance={**own.provenance, **notes})


def test_what_is_fitted_for_another_pair_does_not_lie_where_that_of_the_suites_own_does(bench: Bench) -> None:
    other = Bench("quick", another(), "digits", bench.test)
    elsewhere = Bench("cifar10", bench.manifest, "digits", bench.test)
    images = Bench("quick", bench.manifest, "my/pets", replace(bench.test, name="pets"))
    assert bench.weights("vfe").parent == benches.SHIPPED / "quick"
    assert elsewhere.weights("vfe").is_relative_to("build/baselines/cifar10")
    places = [one.weights("vfe").parent for one in (other, elsewhere, images)]
    own = bench.manifest.id[:12]
    assert places[0] == other.folder("vfe").parent == Path("build/baselines/quick/of-digits-ffffffffffff-digits")
    assert places[2] == Path(f"build/baselines/quick/of-digits-{own}-pets")
    assert bench.command("vfe") == "python -m training.baseline --suite quick --system vfe"
    assert other.command("vfe") == f"{bench.command('vfe')} --pair build/pairs/mine --dataset digits"
    assert images.command("vfe") == f"{bench.command('vfe')} --pair digits --dataset my/pets"


def test_a_command_can_be_typed_as_it_is_told(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spaced = Bench(
        "quick", bench.manifest, str(tmp_path / "my pets"), replace(bench.test, name="my pets"), skip_bad=True
    )
    assert spaced.command("vfe").endswith("--pair digits --dataset 'my pets' --skip-bad")


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "..", ".hidden", "a b", "ü"])
def test_a_name_from_somebody_is_no_path(name: str, bench: Bench) -> None:
    for made in (Bench("quick", replace(another(), name=name), "digits", bench.test),
                 Bench("quick", another(), "digits", replace(bench.test, name=name))):  # fmt: skip
        assert made.fitted.parent == Path("build/baselines/quick")
        assert made.fitted.name.startswith("of-")


def test_what_is_fitted_goes_where_it_is_told(bench: Bench, tmp_path: Path) -> None:
    own = Bench("quick", bench.manifest, "digits", bench.test)
    own.fit_into(tmp_path)
    assert own.weights("vfe").parent == own.folder("teacher").parent == tmp_path


def test_rivals_are_fitted_to_the_images_that_the_pair_has_seen(bench: Bench) -> None:
    tenth = Bench("quick", another(fraction="0.1"), "digits", bench.test)
    assert len(tenth.train()) == len(bench.train()) // 10
    assert len(tenth.validation()) == len(bench.validation())
    assert {one.tobytes() for one in tenth.train().images} < {one.tobytes() for one in bench.train().images}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, bench: Bench) -> Path:
    """Digits to train on and no others, one of whose pictures is none."""
    root = tmp_path_factory.mktemp("mine")
    for number, (image, label) in enumerate(zip(bench.images[:200], bench.labels[:200], strict=True)):
        place = root / "train" / bench.classes[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(place / f"{number}.png")
    (root / "train" / bench.classes[0] / "bad.png").write_bytes(b"none")
    return root


def test_what_has_no_test_split_is_measured_on_what_is_held_out_and_that_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError, match=r"bad\.png"):
        Bench.open("quick", "digits", str(folder), "train")
    mine = Bench.open("quick", "digits", str(folder), skip_bad=True)
    told = " ".join(capsys.readouterr().err.split())
    assert "has no test split: measured on validation, on which a pair and its rivals are chosen" in told
    assert (mine.split, len(mine.images) + len(mine.train())) == ("validation", 200)
    assert mine.of(mine.manifest).split == "validation"
    assert mine.tx_accuracy > 0.9


def test_what_is_fitted_is_held_to_its_images_where_there_are_any(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Bench("quick", another(), "digits", bench.test)
    for one in (bench, other):
        one.require_seen("vfe", bench.seen)
        with pytest.raises(NotThere, match="fitted on other images than those of digits"):
            one.require_seen("vfe", "f" * 64)
    bench.require_seen("jpeg-ldpc", None)
    with pytest.raises(NotThere, match="fitted by a version that did not note on which images: python -m"):
        other.require_seen("jpeg-ldpc", None)

    def none_to_train_on(*_: object, **__: object) -> ImageSet:
        raise DataError("'digits' has no train split")

    monkeypatch.setattr(benches, "load_for", none_to_train_on)
    Bench("quick", bench.manifest, "digits", bench.test).require_seen("vfe", bench.seen)
    with pytest.raises(NotThere, match="fitted on other images"):
        Bench("quick", another(), "digits", bench.test).require_seen("vfe", bench.seen)


def test_a_suite_of_another_pair_is_written_beside_that_of_its_own() -> None:
    suite = find_suite("quick")
    assert place_of(suite, 1) == place_of(suite, 1, ["digits"]) == Path("build/suites/quick-1")
    assert place_of(suite, 1, ["cifar10"]).name == f"quick-1-cifar10-{find_pair('cifar10').id[:8]}"
    assert place_of(suite, 1, [], "digits") == place_of(suite, 1)
    assert place_of(suite, 1, [], "my/pets").name == "quick-1-pets"
    assert place_of(suite, 1, [], None, "validation", 30).name == "quick-1-validation-30-images"  # a trial's own
    large = find_suite("cifar10")
    assert place_of(large, 0, [], "../data/cifar10") == place_of(large, 0) == Path("build/suites/cifar10-0")
