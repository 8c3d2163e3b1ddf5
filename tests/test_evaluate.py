import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.analysis_cases import SEEING, photograph, photograph_folder, seeing, sequences_tar
from tokenlearner import flops
from tokenlearner.analysis.maps import quality
from tokenlearner.cli import main
from tokenlearner.config import ModelConfig, TokenLearnerConfig
from tokenlearner.data.dataset import read_image_set, save_split, split_by_file
from tokenlearner.engine.geometry import plan_geometry
from tokenlearner.errors import ConfigError, DataError
from tokenlearner.evaluation.collect import maps_of
from tokenlearner.evaluation.evaluate import EvaluateSettings, accuracy, evaluate, random_rival
from tokenlearner.evaluation.pictures import known_labels
from tokenlearner.evaluation.results import Evaluation
from tokenlearner.weights import save_checkpoint, untrained


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("evaluate")
    photograph_folder(root / "photos")
    sequences_tar(root / "davis.tar")
    seeing(root)
    save_split(root / "split.json", split_by_file(read_image_set(root / "photos"), 0.5))
    return root


@pytest.fixture(scope="module")
def found(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    settings = EvaluateSettings(num_tokens=(1, 3), meaning_pictures=20, sequences=str(folder / "davis.tar"))
    images = read_image_set(folder / "photos")
    return evaluate(seeing(tmp_path_factory.mktemp("model")), images, settings, data=("photos",))


def test_every_choice_is_measured(found: Evaluation) -> None:
    assert [(one.loc, one.num_tokens) for one in found.choices] == [
        *((0, k) for k in (1, 3, 4)),
        *((2, k) for k in (1, 3, 4)),
        (None, 0),
    ]
    assert (found.photos, found.classes, found.white_ground) == (24, 3, 15)
    assert not found.notes


def test_seeing_model_is_right_with_and_without_tokens(found: Evaluation) -> None:
    for loc, k in ((None, 0), (0, 3), (2, 4)):
        assert found.result(loc, k).top1 == 1


def test_compute_is_that_of_the_choice(found: Evaluation) -> None:
    for one in found.choices:
        expected = flops.compute(SEEING, loc=one.loc, num_tokens=one.num_tokens or None).total_macs
        assert one.macs == expected
    assert found.result(0, 1).macs < found.result(2, 1).macs < found.result(None).macs


def test_seeing_tokens_lie_on_the_objects_and_rivals_do_not(found: Evaluation) -> None:
    for loc in (0, 2):
        one = found.result(loc, 3)
        assert one.whole is not None
        assert one.placed is not None
        assert one.cluttered is not None
        assert (one.whole.pictures, one.placed.pictures, one.cluttered.pictures) == (15, 45, 45)
        for measured in (one.whole, one.placed, one.cluttered):
            assert measured.best > 0.75  # small discs have much rim
            assert measured.found > 0.6
            assert measured.uniform < measured.centre_prior < 0.8
            assert measured.lift > 1.2
            assert measured.mean_map < 0.6
            assert measured.random_weights is not None
            assert measured.uniform <= measured.random_weights < 0.9
        assert one.placed.uniform == pytest.approx(one.cluttered.uniform)  # same sizes and places


def test_plain_network_has_no_maps(found: Evaluation) -> None:
    plain = found.result(None)
    assert (plain.maps, plain.whole, plain.placed, plain.cluttered) == (None,) * 4


def test_map_measures_agree_with_a_direct_run(found: Evaluation, folder: Path) -> None:
    # All photographs of one shape: a second route without grouping by grid.
    images = read_image_set(folder / "photos")
    loaded = seeing(folder)
    chosen = images.take(np.array([i for i in range(len(images)) if images.read(i).shape == (96, 128, 3)]))
    only = evaluate(loaded, chosen, EvaluateSettings(num_tokens=(3,), meaning=False))
    plan = plan_geometry(SEEING, (96, 128))
    inputs = np.stack([plan.to_input(chosen.read(i)) for i in range(len(chosen))])
    direct = quality(maps_of(loaded.model, inputs, 2, 3), SEEING.grid_hw())
    measured = only.result(2, 3).maps
    assert measured is not None
    assert measured.entropy == pytest.approx(direct.entropy, abs=1e-5)
    assert measured.overlap == pytest.approx(direct.overlap, abs=1e-5)
    assert measured.adaptivity == pytest.approx(direct.adaptivity, abs=1e-5)
    assert not measured.collapsed


def test_tests_of_meaning_know_the_seeing_model(found: Evaluation) -> None:
    assert [(one.loc, one.num_tokens) for one in found.meaning] == [(0, 4), (2, 4)]
    for one in found.meaning:
        assert one.collage is not None
        assert one.collage.collages == 20
        assert one.collage.matched > 0.5  # objects of one colour share a token, so not all
        assert one.collage.matched > one.collage.mean_map
        assert one.collage.matched > one.collage.random_weights
        assert one.deletion.tokens < one.deletion.random
        assert one.stability.shift > one.stability.shift_in_place
        assert one.stability.shift > 0.6


def test_sequences_are_measured_at_every_choice_with_a_module(found: Evaluation) -> None:
    assert [(one.loc, one.num_tokens) for one in found.video] == [(loc, k) for loc in (0, 2) for k in (1, 3, 4)]
    assert found.video[1].kept > 0.9


def test_result_is_json(found: Evaluation) -> None:
    data = json.loads(json.dumps(found.to_dict()))
    first = data["choices"][0]
    assert data["format"] == "tokenlearner-evaluation-1"
    assert first["placed"]["lift"] == pytest.approx(first["placed"]["best"] / first["placed"]["centre_prior"])
    assert first["maps"]["collapsed"] is False
    assert data["choices"][-1]["maps"] is None
    assert data["meaning"][0]["deletion"]["curve"][0] > 0.7


def test_choice_that_was_not_measured_is_refused(found: Evaluation) -> None:
    with pytest.raises(KeyError, match=r"\(1, 3\) was not measured"):
        found.result(1, 3)


def test_same_seed_gives_the_same_numbers(folder: Path, tmp_path: Path) -> None:
    images = read_image_set(folder / "photos")
    settings = EvaluateSettings(num_tokens=(2,), meaning=False, seed=5)
    one, two = (evaluate(seeing(tmp_path), images, settings) for _ in range(2))
    assert one.choices == two.choices
    other = evaluate(seeing(tmp_path), images, EvaluateSettings(num_tokens=(2,), meaning=False, seed=6))
    assert other.result(0, 2).placed != one.result(0, 2).placed


def test_crop_measures_the_middle_of_photographs(folder: Path, tmp_path: Path) -> None:
    images = read_image_set(folder / "photos")
    settings = EvaluateSettings(num_tokens=(3,), meaning=False, resize="crop")
    cropped = evaluate(seeing(tmp_path), images, settings)
    assert cropped.resize == "crop"
    whole = cropped.result(0, 3).whole
    assert whole is not None
    assert whole.best > 0.9


def test_without_white_ground_objects_are_not_measured(folder: Path, tmp_path: Path) -> None:
    images = read_image_set(folder / "photos")
    noisy = images.take(images.indices([name for name in images.names if name[-5] in "012"]))
    result = evaluate(seeing(tmp_path), noisy, EvaluateSettings(num_tokens=(2,), meaning_pictures=3))
    assert result.white_ground == 0
    assert any("no photographs on white ground" in note for note in result.notes)
    assert (result.result(0, 2).whole, result.result(0, 2).placed, result.meaning[0].collage) == (None, None, None)


def test_accuracy_over_photographs_and_over_classes() -> None:
    labels = np.array([0, 0, 0, 0, 2])
    assert accuracy(np.array([0, 0, 0, 1, 2]), labels) == (0.8, (0.75 + 1) / 2)


def test_labels_are_the_models_by_name(folder: Path) -> None:
    images = read_image_set(folder / "photos")
    same, labels, notes = known_labels(images, ("red", "green", "blue"), 3)
    assert (labels == 2 - images.labels).all()
    assert (len(same), notes) == (24, ())


def test_photographs_of_unknown_classes_are_left_out_with_a_note(folder: Path) -> None:
    images = read_image_set(folder / "photos")
    known, labels, notes = known_labels(images, ("red", "mauve", "blue"), 3)
    assert len(known) == 16
    assert sorted(set(labels.tolist())) == [0, 2]
    assert notes == ("8 photographs of classes that the model does not know were left out.",)


def test_model_without_class_names_takes_folders_in_order(folder: Path) -> None:
    images = read_image_set(folder / "photos")
    _, labels, notes = known_labels(images, (), 3)
    assert (labels == images.labels).all()
    assert "does not name its classes" in notes[0]
    with pytest.raises(DataError, match="does not name its 4 classes and the data set has 3"):
        known_labels(images, (), 4)


def test_foreign_data_set_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match=r"none of the data set's 3 classes \(such as blue\)"):
        known_labels(read_image_set(folder / "photos"), ("cat", "dog"), 2)


def test_video_model_is_refused(folder: Path) -> None:
    video = ModelConfig(
        img_size=(16, 16),
        patch_size=(8, 8),
        embed_dim=8,
        depth=1,
        num_heads=2,
        mlp_dim=8,
        num_classes=3,
        num_frames=2,
    )
    with pytest.raises(ConfigError, match="measures image models"):
        evaluate(untrained(video), read_image_set(folder / "photos"))


@pytest.mark.parametrize("bad", [{"meaning_pictures": 0}, {"max_frames": 0}])
def test_settings_that_measure_nothing_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="at least one"):
        EvaluateSettings(**bad)  # type: ignore[arg-type]


def test_random_rival_has_distinct_maps_even_behind_a_convolutional_stem() -> None:
    config = ModelConfig(
        img_size=(48, 64),
        patch_size=(8, 8),
        embed_dim=24,
        depth=2,
        num_heads=2,
        mlp_dim=24,
        num_classes=3,
        stem="conv",
        stem_dims=(8, 12, 16),
        stem_strides=(2, 2, 2),
        token_learner=TokenLearnerConfig(num_tokens=5, bottleneck_dim=64),
        tokenlearner_locs=(1,),
        default_loc=1,
    )
    pixels = np.stack([photograph("red", seed, white=False)[::2, ::2] for seed in range(0, 10, 2)])
    loaded = untrained(config)
    fresh = quality(maps_of(loaded.model, pixels, 1), (6, 8))
    state = torch.random.get_rng_state()
    rival = random_rival(loaded, 7, pixels)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not rival.training
    measured = quality(maps_of(rival, pixels, 1), (6, 8))
    assert fresh.collapsed
    assert not measured.collapsed
    again = quality(maps_of(random_rival(loaded, 7, pixels), pixels, 1), (6, 8))
    assert measured == again
    assert measured != quality(maps_of(random_rival(loaded, 8, pixels), pixels, 1), (6, 8))


def test_command_prints_tables_and_writes_json(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "out.json"
    arguments = ["evaluate", str(folder / "seeing.safetensors"), str(folder / "photos"), "--json", str(out)]
    code = main([*arguments, "--split", str(folder / "split.json"), "--davis", str(folder / "davis.tar")])
    printed = capsys.readouterr().out
    assert code == 0
    data = json.loads(out.read_text())
    assert data["photos"] == 12
    again = "seeing.safetensors photos --split split.json --davis davis.tar --seed 0"
    assert data["command"] == f"python -m tokenlearner evaluate {again}"
    assert data["split"] == "split.json"
    assert {(one["loc"], one["num_tokens"]) for one in data["choices"]} >= {(0, 1), (2, 4), (None, 0)}
    for words in (
        "12 photographs of 3 classes from photos (validation part of split.json)",
        "NOT TRAINED",
        "centre prior",
        "on other photographs",
        "Tests of meaning",
        "Moving objects: 2 sequences, 10 frames",
    ):
        assert words in printed
    none = next(line for line in printed.splitlines() if line.strip().startswith("none"))
    assert "100.0 %" in none


def test_command_with_limit_and_without_split(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evaluate", str(folder / "seeing.safetensors"), str(folder / "photos"), "--limit", "7"]
    assert main([*arguments, "--no-meaning", "--num-tokens", "2", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "7 photographs" in printed
    assert "without a split" in printed
    assert "Tests of meaning" not in printed
    assert "again: python -m tokenlearner evaluate seeing.safetensors photos --limit 7 --num-tokens 2" in printed
    assert "--seed 0 --no-meaning\n" in printed


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--limit", "0"], "--limit 0 leaves no photographs"),
        (["--device", "abacus"], "not a device"),
        (["--davis", "none.tar"], "no archive of sequences"),
        (["--split", "none.json"], "none.json cannot be read"),
    ],
)
def test_command_says_what_is_wrong(
    folder: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    arguments = ["evaluate", str(folder / "seeing.safetensors"), str(folder / "photos"), "--no-meaning", *extra]
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err


def test_command_does_not_overwrite_the_models_card(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.safetensors"
    save_checkpoint(path, seeing(folder).model, untrained(SEEING).card)
    card = (tmp_path / "mine.json").read_text()
    assert main(["evaluate", str(path), str(folder / "photos"), "--json", str(tmp_path / "mine.json")]) == 1
    assert "belongs to the model itself" in capsys.readouterr().err
    assert (tmp_path / "mine.json").read_text() == card
