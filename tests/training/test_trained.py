"""Baselines with fitted weights: that they learn, go on after a kill, send what a codec may send, and that what ships
is what its JSON says."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from common.errors import ModelError
from training.auditing.examine import audit
from training.auditing.subject import Subject
from training.baseline import main
from training.recipes.recipe import Recipe
from training.recipes.specs import LossSpec
from training.systems import bench as bench_room
from training.systems.bench import Bench
from training.systems.carry import Way, carry
from training.systems.system import NotThere, Place
from training.trained import fronts, of_ours, published, tuning
from training.trained.dt_jscc import nearest, points
from training.trained.family import Family, Space
from training.trained.fronts import Examples, Front, widened
from training.trained.learned import (
    FAMILIES,
    Kit,
    Learned,
    Option,
    read_record,
    share_right,
    spent_on_ours,
    write_record,
)
from training.trained.of_ours import OursTuning
from training.trained.published import FIGURES, Peak
from training.trained.quantised import _dealt, bits_of, letters_of
from training.trained.trying import STREAMS, Budget, Lines, Trials, drawn
from training.trained.tuning import Tuning, space_of
from training.trained.vfe import Analog

TINY = {"dt-jscc": "d16@6", "dt-jscc-ours": "d16@6", "vfe": "d16", "separate": "b8", "pq-code": "b8"}
HOME = Place("awgn", "perfect", 16, 10.0)
SHIPPED = sorted(path.stem for path in (bench_room.SHIPPED / "quick").glob("*.safetensors"))


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """Digits with 256 images to train on and 100 to choose on."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    found = Bench.open("quick", "digits", most=60)
    found._splits["train"] = found.train().take(np.arange(256))
    found._splits["validation"] = found.validation().take(np.arange(100))
    yield found
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def examples(bench: Bench) -> dict[str, Examples]:
    """By front, with two views."""
    found = {kind: Examples(bench, Front(bench, kind)) for kind in ("pixels", "ours")}
    for one in found.values():
        one.views = 2
    return found


def settings_of(family: Family, **other: Any) -> dict[str, Any]:
    """As the last of each has it: a hidden layer, no rotation, true labels."""
    return {key: values[-1] for key, values in family.space.items()} | {"epochs": 14, "lr": 1e-2, "batch": 32} | other


def fit(
    family: Family, member: str, examples: dict[str, Examples], folder: Path, seed: int = 0, **other: Any
) -> dict[str, Any]:
    return family.fit(member, examples[family.front], settings_of(family, **other), folder, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_each_learns_and_sends_what_a_codec_may_send(
    name: str, bench: Bench, examples: dict[str, Examples], tmp_path: Path
) -> None:
    family, member = FAMILIES[name], TINY[name]
    longer = {"epochs": 28} if name == "dt-jscc" else {}  # 14 passes are few, and processors differ by as much
    weights = fit(family, member, examples, tmp_path, **longer)
    kit = Kit(family, bench, settings_of(family), {member: weights})
    way = kit.way(Option(member, 0), HOME)
    assert way is not None
    assert way.codec.symbols <= 16
    assert share_right(way, bench.validation(), HOME, range(2)) > 0.25  # chance: 0.1
    check_codec(way, bench.images)


@pytest.mark.full
@pytest.mark.parametrize("name", [name for name in SHIPPED if name in FAMILIES])
def test_there_is_something_to_send_wherever_something_was_chosen(name: str) -> None:
    """Also between the SNRs at which it was, and far from them."""
    bench = Bench.open("quick", "digits", most=1)
    system = Learned(bench, FAMILIES[name])
    corners = {(one["channel"], one["csi"], one["n"]) for one in system.record.document["choices"]}
    for channel, csi, n in sorted(corners):
        for snr_db in (-60.0, -4.4, 4.9, np.inf):
            way = system.way(Place(channel, csi, n, snr_db))
            assert 1 <= way.codec.symbols <= n - way.pilots


def check_codec(way: Way, images: Any) -> None:
    """Unit power for each image; alone as among others; twice the same."""
    sent = way.codec.encode(images)
    assert sent.shape == (len(images), way.codec.symbols)
    np.testing.assert_allclose(np.mean(np.abs(sent) ** 2, 1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(way.codec.encode(images), sent)
    alone = np.concatenate([way.codec.encode(one[None]) for one in images[:10]])
    np.testing.assert_allclose(alone, sent[:10], atol=1e-5)
    rng = np.random.default_rng(0)
    heard = (sent + 0.3 * (rng.normal(size=sent.shape) + 1j * rng.normal(size=sent.shape))).astype(np.complex64)
    snr = np.full(sent.shape, 5.0, np.float32)
    answers = way.codec.decode(heard, snr)
    assert answers.tolist() == [int(way.codec.decode(heard[i : i + 1], snr[i : i + 1])[0]) for i in range(len(heard))]


def test_the_same_seed_gives_the_same_weights_and_another_one_others(
    bench: Bench, examples: dict[str, Examples], tmp_path: Path
) -> None:
    family = FAMILIES["vfe"]
    first, again = (fit(family, "d16", examples, tmp_path / name, epochs=2) for name in "ab")
    assert all(torch.equal(first[key], again[key]) for key in first)
    other = fit(family, "d16", examples, tmp_path / "c", seed=1, epochs=2)
    assert not torch.equal(first["last.weight"], other["last.weight"])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few members, few places, short trials."""
    family = FAMILIES["vfe"]
    short = {**family.space, "epochs": (1,), "batch": (256,)}
    monkeypatch.setattr(type(family), "space", short)
    monkeypatch.setattr(type(family), "reference", ("d16", "d12"))
    monkeypatch.setattr(type(family), "members", lambda _: ("d16", "d12"))
    monkeypatch.setattr(tuning, "REFERENCE", (HOME,))
    monkeypatch.setattr(tuning, "PLACES", (HOME, Place("block-rayleigh", "estimated", 16, 10.0)))


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_a_killed_tuning_goes_on_and_ends_as_if_it_had_not_been(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family, budget = FAMILIES["vfe"], Budget(3, 1e6)
    whole = Tuning(family, bench, budget, tmp_path / "whole").run(tmp_path / "whole.safetensors", "command")
    done, real = [], type(family).fit

    def dies(self: Family, member: str, *arguments: Any) -> Any:
        done.append(member)
        if len(done) == 4:  # the second trial's second member
            raise KeyboardInterrupt
        return real(self, member, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(type(family), "fit", dies)
    with pytest.raises(KeyboardInterrupt):
        Tuning(family, bench, budget, tmp_path / "again").run(tmp_path / "again.safetensors", "command")
    again = Tuning(family, bench, budget, tmp_path / "again").run(tmp_path / "again.safetensors", "command")
    assert len(done) == 4 + 2 + 2 + 2  # trial 1 was not done again; the members of the best one came last
    for key in ("chosen", "choices", "validation", "held_to"):
        assert again[key] == whole[key]
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    assert [one["accuracy"] for one in again["tried"]] == [one["accuracy"] for one in whole["tried"]]
    assert again["spent"]["trials"] == 3
    assert again["spent"]["tuning_cpu_s"] > 0


@pytest.mark.usefixtures("small")
def test_no_trial_is_begun_once_the_cpu_seconds_are_spent(bench: Bench, tmp_path: Path) -> None:
    tried = Tuning(FAMILIES["vfe"], bench, Budget(5, 1e-3), tmp_path).trials()
    assert [one["trial"] for one in tried] == [0]


class Counted(Trials):
    """Trials that take no time, and note what was fitted."""

    def attempt(self, settings: dict[str, Any], folder: Path) -> float:
        assert not folder.exists(), "of other settings"
        folder.mkdir(parents=True)
        return float(settings["lr"])


def test_more_trials_go_on_from_fewer_and_none_is_made_twice(bench: Bench, tmp_path: Path) -> None:
    space: Space = {"lr": tuple(range(5)), "width": (1, 2, 3)}
    four, eight = (Counted("counted", space, bench, Budget(most, 1e6), tmp_path).trials() for most in (4, 8))
    assert [one["settings"] for one in eight] == drawn(space, 8, 0)
    assert [one["trial"] for one in eight] == list(range(8))
    alike = [one["settings"] for one in eight if one["settings"] in [other["settings"] for other in four]]
    (folder,) = tmp_path.iterdir()
    assert len(list(folder.glob("trial-*"))) == 4 + 8 - len(alike)
    other = Counted("counted", space, bench, Budget(1, 1e6), tmp_path, teacher="another")
    assert other.folder != folder


def test_many_images_have_few_passes_over_one_view_and_few_have_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = FAMILIES["vfe"]
    monkeypatch.setattr(tuning, "USUAL", len(bench.train()))
    assert space_of(family, bench) == family.space
    monkeypatch.setattr(tuning, "USUAL", 4 * len(bench.train()))
    assert space_of(family, bench) == {**family.space, "epochs": tuple(2 * one for one in family.space["epochs"])}
    monkeypatch.setattr(tuning, "MANY", len(bench.train()))
    monkeypatch.setattr(fronts, "MANY", len(bench.train()))
    space = space_of(family, bench)
    assert {**space, "epochs": family.space["epochs"], "batch": family.space["batch"]} == family.space
    assert max(space["epochs"]) < min(family.space["epochs"])
    assert Examples(bench, Front(bench, "ours")).views == 1


@pytest.mark.parametrize(("hidden", "classes", "wide"), [(64, 10, 64), (64, 100, 200)])
def test_a_decoder_is_no_narrower_than_its_classes_need(hidden: int, classes: int, wide: int) -> None:
    assert widened(hidden, classes) == wide


def test_half_a_line_of_a_killed_process_is_dropped(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "lines.jsonl")
    lines.add({"trial": 0})
    with (tmp_path / "lines.jsonl").open("a") as file:
        file.write('{"trial": 1, "acc')
    again = Lines(tmp_path / "lines.jsonl")
    again.add({"trial": 1})
    assert Lines(tmp_path / "lines.jsonl").read == [{"trial": 0}, {"trial": 1}]


@pytest.mark.parametrize("name", FAMILIES)
def test_trials_begin_as_published_and_are_never_alike(name: str) -> None:
    space = FAMILIES[name].space
    found = drawn(space, 8, seed=0)
    assert found[0] == {key: values[0] for key, values in space.items()}
    assert len({json.dumps(one, sort_keys=True) for one in found}) == 8
    assert all(one[key] in space[key] for one in found for key in space)
    assert found == drawn(space, 8, seed=0) != drawn(space, 8, seed=1)


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_a_letter_is_read_back_at_any_power(scale: float) -> None:
    letters = torch.arange(16)
    assert torch.equal(nearest(points(letters, 16) * scale, 16), letters)


def test_bits_say_the_letters_and_back() -> None:
    letters = np.random.default_rng(0).integers(0, 16, (50, 5))
    bits = bits_of(letters)
    assert (bits.shape, set(bits.ravel().tolist())) == ((50, 20), {0, 1})
    np.testing.assert_array_equal(letters_of(bits), letters)


@pytest.mark.parametrize(("wide", "parts"), [(64, 1), (64, 4), (64, 16), (10, 3)])
def test_axes_are_dealt_out_once_each_and_evenly(wide: int, parts: int) -> None:
    logs = np.log(np.random.default_rng(wide).gamma(1.0, size=wide) + 1e-6)
    shares = _dealt(logs, parts, -(-wide // parts))
    assert sorted(np.concatenate(shares).tolist()) == list(range(wide))
    if wide // parts >= 4:
        sums = [float((logs - logs.min())[share].sum()) for share in shares]
        assert max(sums) - min(sums) < 0.35 * max(sums)


@pytest.mark.parametrize("seed", range(3))
def test_more_noise_never_shuts_a_gate_and_what_is_sent_is_a_prefix(seed: int) -> None:
    torch.manual_seed(seed)
    net = Analog(20, 10, 24, 0, 32, 1e-3, LossSpec())
    told = torch.linspace(20.0, -10.0, 31)
    gates = net.gate(told)
    assert bool((gates.diff(dim=0) >= 0).all())
    assert bool((gates.diff(dim=1) <= 0).all())
    sent = net.send(torch.randn(31, 20), told)
    torch.testing.assert_close(sent.abs().square().sum(1), net.active(told).sum(1).float())


@pytest.mark.parametrize("name", [name for name in SHIPPED if name in FAMILIES])
def test_what_ships_is_what_its_json_says(name: str) -> None:
    """At home, on the images it was chosen on, to the last of them but two: another processor may round otherwise."""
    bench = Bench.open("quick", "digits", most=50)
    system = Learned(bench, FAMILIES[name])
    held = bench.validation()
    choices = system.record.document["choices"]
    home = [one for one in choices if (one["channel"], one["csi"], one["n"]) == ("awgn", "perfect", 16)]
    assert len(home) >= 8
    for one in (home[2], home[5]):
        place = Place("awgn", "perfect", 16, one["snr_db"])
        right = share_right(system.way(place), held, place, STREAMS)
        assert abs(right - one["validation"]) * len(held) <= 2
    check_codec(system.way(HOME), bench.images)
    assert all(one["holds"] for one in system.record.document["held_to"])


@pytest.fixture
def record(bench: Bench, examples: dict[str, Examples], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fitted one, where the bench looks for it."""
    family = FAMILIES["vfe"]
    monkeypatch.setattr(Bench, "weights", lambda _, name: tmp_path / f"{name}.safetensors")
    choice = {
        "channel": "awgn",
        "csi": "perfect",
        "n": 16,
        "snr_db": 0.0,
        "member": "d16",
        "pilots": 0,
        "validation": 1.0,
    }
    document = {"pair": bench.manifest.id, "chosen": settings_of(family), "choices": [choice]}
    path = tmp_path / "vfe.safetensors"
    write_record(path, document, {"d16": fit(family, "d16", examples, tmp_path / "fit", epochs=1)})
    return path


def test_weights_that_were_fitted_on_other_images_have_no_number(record: Path, bench: Bench) -> None:
    document = read_record(record).document
    for change, why in (({"data": "f" * 64}, "fitted on other images than those of"), ({"pair": "f"}, "another pair")):
        record.with_suffix(".json").write_text(json.dumps({**document, **change}))
        with pytest.raises(NotThere, match=why):
            Learned(bench, FAMILIES["vfe"]).measure(HOME, 0, 0)
    record.with_suffix(".json").write_text(json.dumps({**document, "data": bench.seen}))
    Learned(bench, FAMILIES["vfe"]).measure(HOME, 0, 0)
    renamed = [{**one, "member": "nobody"} for one in document["choices"]]
    record.with_suffix(".json").write_text(json.dumps({**document, "choices": renamed}))
    with pytest.raises(ModelError, match="there are no weights of nobody, which it chooses"):
        Learned(bench, FAMILIES["vfe"]).measure(HOME, 0, 0)


def test_a_place_takes_the_choice_of_the_nearest_snr_and_one_without_any_says_so(record: Path, bench: Bench) -> None:
    system = Learned(bench, FAMILIES["vfe"])
    measured = system.measure(HOME, 0, 0)
    assert measured.decided is not None
    np.testing.assert_array_equal(measured.decided, carry(system.way(HOME), bench.images, HOME, 0))
    with pytest.raises(NotThere, match="no member was fitted that sends 8 uses over awgn"):
        system.way(replace(HOME, n=8))


def test_weights_that_are_not_those_of_the_json_are_refused(record: Path, bench: Bench) -> None:
    raw = bytearray(record.read_bytes())
    raw[-1] ^= 1
    record.write_bytes(raw)
    with pytest.raises(ModelError, match="not those that the JSON names"):
        read_record(record)
    record.with_suffix(".json").write_text("{")
    with pytest.raises(ModelError, match="restore both files or run vfe through"):
        read_record(record)


def test_what_was_not_fitted_or_for_another_pair_names_the_command(record: Path, bench: Bench) -> None:
    with pytest.raises(NotThere, match=r"python -m training\.baseline --suite quick --system separate"):
        Learned(bench, FAMILIES["separate"]).way(HOME)
    document = json.loads(record.with_suffix(".json").read_bytes())
    record.with_suffix(".json").write_text(json.dumps({**document, "pair": "another"}))
    with pytest.raises(NotThere, match="fitted for another pair"):
        Learned(bench, FAMILIES["vfe"]).way(HOME)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--system", "dt-jsc"], "--system dt-jsc is not fitted by this command: it has ours, dt-jscc"),
        (["--system", "vfe", "--trials", "0"], "--trials must be at least 1"),
        (["--system", "vfe", "--cpu-seconds", "nan"], "--cpu-seconds above 0"),
        (["--system", "vfe", "--suite", "mine"], "--suite mine: there are quick, cifar10"),
    ],
)
def test_wrong_use_is_told_before_any_work(arguments: list[str], told: str) -> None:
    ran = CliRunner().invoke(main, arguments, obj={"log_format": "text"})
    assert told in str(ran.exception)


def test_the_published_form_keeps_its_peak_and_noise_and_is_held_to_its_figures(bench: Bench, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Peak(64, 10, 4, 0, 16, 1e-3, LossSpec())
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        told, gain, noise = net.draw(4000, random)
        sent = net.send(5 * torch.randn(4000, 64), told)
    assert float(torch.view_as_real(sent).abs().max()) <= 1.0
    assert 10.0 <= float(told[0]) <= 26.1
    assert bool((gain == 1).all())
    spread = torch.view_as_real(noise * net.n0(told).sqrt()[:, None]).std()
    assert float(spread) == pytest.approx(
        10 ** (-float(told[0]) / 20), rel=0.02
    )  # PSNR = 1/sigma^2 of a real dimension
    for name in FIGURES:
        held = published.run(name, bench.train(), bench.test, 1, tmp_path / name)
        assert [one["holds"] for one in held] == [one["measured"] >= one["bound"] for one in held]
        assert len(held) == len(FIGURES[name])


@pytest.mark.full
def test_ours_is_tried_as_they_are(
    bench: Bench, recipe: Recipe, undrawn: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(of_ours, "recipe_of", lambda _: recipe)
    monkeypatch.setattr(of_ours, "REFERENCE", (Place("awgn", "perfect", 6, 10.0),))
    document = OursTuning(bench, Budget(2, 1e6), tmp_path / "trials").run(tmp_path / "ours", "command")
    assert document["tried"][0]["settings"] != document["tried"][1]["settings"]
    assert document["shipped_settings_best"] == (document["chosen"] == document["tried"][0]["settings"])
    monkeypatch.setattr(Bench, "weights", lambda _, name: tmp_path / f"{name}.safetensors")
    assert spent_on_ours(bench) == document["spent"]
    assert document["spent"]["trials"] == 2


@pytest.mark.full
@pytest.mark.parametrize("name", [name for name in SHIPPED if name in FAMILIES])
def test_what_ships_passes_the_audit(name: str) -> None:
    bench = Bench.open("quick", "digits", most=200)
    system = Learned(bench, FAMILIES[name])
    subject = Subject(name, lambda: system.way(HOME).codec, bench.images, bench.labels)
    assert [finding for finding in audit(subject) if not finding.passed] == []
