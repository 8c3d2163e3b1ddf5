import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.analysis_cases import SEEING_VIDEO, photograph_folder, seeing, seeing_model, seeing_video, sequences_tar
from tokenlearner import flops
from tokenlearner.cli import main
from tokenlearner.config import LabelGroup
from tokenlearner.data.dataset import ImageSet, read_image_set, save_split, split_by_file
from tokenlearner.data.moving import MOTIONS
from tokenlearner.errors import ConfigError
from tokenlearner.evaluation.clips import ClipBatch, ClipEvaluateSettings, clip_source, evaluate_clips
from tokenlearner.evaluation.results import ClipEvaluation, FollowingResult
from tokenlearner.weights import LoadedModel, load_checkpoint, save_checkpoint, untrained

CLIPS = 20  # more than one batch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    photograph_folder(root / "photos")
    sequences_tar(root / "davis.tar")
    save_split(root / "split.json", split_by_file(read_image_set(root / "photos"), 0.5))
    return root


@pytest.fixture(scope="module")
def images(folder: Path) -> ImageSet:
    return read_image_set(folder / "photos")


def random_model(seed: int = 2) -> LoadedModel:
    """Its answers depend on everything, time included."""
    return untrained(SEEING_VIDEO, seed)


@pytest.fixture(scope="module")
def found(images: ImageSet) -> ClipEvaluation:
    return evaluate_clips(random_model(), images, ClipEvaluateSettings(clips=CLIPS, num_tokens=(1, 3)))


def batches(images: ImageSet, seed: int = 0) -> list[ClipBatch]:
    source, _ = clip_source(random_model(), images)
    return list(source.batches(SEEING_VIDEO, CLIPS, seed))


def row(found: ClipEvaluation, maps: str, loc: int | None = None, k: int = 1) -> FollowingResult:
    return next(one for one in found.following if (one.maps, one.loc, one.num_tokens) == (maps, loc, k))


def test_motions_come_equally_often_and_objects_are_counted_as_the_model_does(images: ImageSet) -> None:
    drawn = batches(images)
    counts = np.bincount(np.concatenate([batch.motion for batch in drawn]), minlength=len(MOTIONS))
    assert sorted(counts.tolist()) == [1] * 4 + [2] * 8
    assert set(np.concatenate([batch.label for batch in drawn]).tolist()) <= {0, 1, 2}
    assert [len(batch.label) for batch in drawn] == [16, 4]


def test_same_seed_gives_the_same_clips(images: ImageSet) -> None:
    one, two, other = batches(images), batches(images), batches(images, seed=1)
    assert all(torch.equal(a.rgb, b.rgb) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one[0].rgb, other[0].rgb)


def test_frozen_clips_hold_the_middle_frame(images: ImageSet) -> None:
    batch = batches(images)[0]
    for frame in range(6):
        assert torch.equal(batch.frozen[:, frame], batch.rgb[:, 3])


def test_moments_with_less_than_a_cell_of_object_do_not_count(images: ImageSet) -> None:
    fractions = np.zeros((1, 3, 12, 16))
    fractions[0, 1, 2, 3:5] = 0.5
    fractions[0, 2, 2, 3:6] = 0.5
    batch = dataclasses.replace(batches(images)[0], fractions=fractions)
    assert batch.seen.tolist() == [[False, False, True]]


def test_every_choice_is_measured(found: ClipEvaluation) -> None:
    expected = [*((loc, k) for loc in (0, 2) for k in (1, 3, 4)), (None, 0)]
    assert [(one.loc, one.num_tokens) for one in found.choices] == expected
    assert (found.clips, found.photos, found.cutouts, found.chance) == (CLIPS, 24, 15, 1 / 12)
    for one in found.choices:
        compute = flops.compute(SEEING_VIDEO, loc=one.loc, num_tokens=one.num_tokens or None)
        assert one.macs == compute.total_macs
        assert (one.maps is None) == (one.loc is None)


@pytest.mark.parametrize(("loc", "k"), [(0, 1), (2, 3), (None, 0)])
def test_accuracy_agrees_with_plain_calls(found: ClipEvaluation, images: ImageSet, loc: int | None, k: int) -> None:
    model = random_model().model
    right = np.zeros(4)
    for batch in batches(images):
        for column, rgb in ((0, batch.rgb), (2, batch.frozen)):
            with torch.inference_mode():
                logits = model(model.normalize(rgb), loc=loc, num_tokens=k or None).logits.numpy()
            right[column] += (logits[:, :3].argmax(axis=1) == batch.label).sum()
            right[column + 1] += (logits[:, 3:].argmax(axis=1) == batch.motion).sum()
    one = next(one for one in found.choices if (one.loc, one.num_tokens) == (loc, k))
    assert (one.object, one.motion, one.object_frozen, one.motion_frozen) == pytest.approx(tuple(right / CLIPS))


def test_motions_apart_add_up_to_their_mean(found: ClipEvaluation, images: ImageSet) -> None:
    counts = np.bincount(np.concatenate([batch.motion for batch in batches(images)]), minlength=12)
    together = sum(share * counts[MOTIONS.index(name)] for name, share in found.by_motion.items()) / CLIPS
    default = next(one for one in found.choices if (one.loc, one.num_tokens) == (2, 4))
    assert together == pytest.approx(default.motion)


def test_mass_agrees_with_a_plain_call(found: ClipEvaluation, images: ImageSet) -> None:
    model = random_model().model
    best, moments = [], 0
    for batch in batches(images):
        with torch.inference_mode():
            maps = model(model.normalize(batch.rgb), loc=0).token_maps.numpy().reshape(-1, 3, 4, 12, 16)
        for own, mask in zip(maps, batch.fractions, strict=True):
            shown = [t for t in range(3) if mask[t].sum() > 1]
            moments += len(shown)
            if shown:
                best.append(np.mean([max((one * mask[t]).sum() for one in own[t]) for t in shown]))
    assert found.moments == moments
    assert row(found, "tokens", 0, 4).following.best == pytest.approx(np.mean(best), abs=1e-5)


def test_colours_tell_tokens_where_the_object_is(images: ImageSet, tmp_path: Path) -> None:
    seen = evaluate_clips(seeing_video(tmp_path), images, ClipEvaluateSettings(clips=CLIPS, num_tokens=(3,)))
    tokens = row(seen, "tokens", 2, 3).following
    assert tokens.mass > 2 * row(seen, "uniform").following.mass
    assert tokens.mass > row(seen, "random weights", 2, 3).following.mass
    assert tokens.mass > row(seen, "mean maps", 2, 3).following.mass
    plain = next(one for one in seen.choices if one.loc is None)
    assert plain.object > 0.5
    assert plain.motion == pytest.approx(plain.motion_frozen)  # it knows nothing of motion


def test_result_is_json(found: ClipEvaluation) -> None:
    data = json.loads(json.dumps(found.to_dict()))
    assert data["format"] == "tokenlearner-clip-evaluation-1"
    assert data["following"][0]["following"]["mass"] == found.following[0].following.mass


def test_image_model_is_refused(images: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="measures video models"):
        evaluate_clips(seeing(tmp_path), images)


def test_model_with_other_questions_is_refused(images: ImageSet) -> None:
    groups = (LabelGroup(name="sport", num_classes=15),)
    other = untrained(dataclasses.replace(SEEING_VIDEO, label_groups=groups))
    with pytest.raises(ConfigError, match=r"in which of 12 ways\. This model answers something else \(sport\)"):
        evaluate_clips(other, images)


def test_only_an_image_model_is_compared_with(images: ImageSet) -> None:
    with pytest.raises(ConfigError, match="untrained-2 is no image model"):
        evaluate_clips(random_model(), images, image_model=random_model())


def test_recipe_of_another_program_is_refused(images: ImageSet) -> None:
    model = random_model()
    card = dataclasses.replace(model.card, recipe={"clips": {"rain": 1.0}})
    with pytest.raises(ConfigError, match=r"makes clips in an unknown way .*rain"):
        clip_source(dataclasses.replace(model, card=card), images)


def test_recipe_decides_what_clips_show(images: ImageSet) -> None:
    model = random_model()
    card = dataclasses.replace(model.card, recipe={"clips": {"object_side": [0.2, 0.25], "distractors": 0}})
    source, _ = clip_source(dataclasses.replace(model, card=card), images)
    assert (source.settings.object_side, source.settings.distractors) == ((0.2, 0.25), 0)


@pytest.mark.parametrize("bad", [{"clips": 0}, {"max_frames": 0}])
def test_settings_that_measure_nothing_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="at least one"):
        ClipEvaluateSettings(**bad)  # type: ignore[arg-type]


def test_command_measures_a_video_model_and_writes_its_card(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, image = tmp_path / "mine.safetensors", tmp_path / "image.safetensors"
    save_checkpoint(path, seeing_model(SEEING_VIDEO), untrained(SEEING_VIDEO).card)
    seeing(tmp_path).path.rename(image)  # type: ignore[union-attr]
    (tmp_path / "seeing.json").rename(tmp_path / "image.json")
    out = tmp_path / "out.json"
    arguments = ["evaluate", str(path), str(folder / "photos"), "--split", str(folder / "split.json"), "--limit", "13"]
    arguments += ["--davis", str(folder / "davis.tar"), "--image-model", str(image), "--json", str(out)]
    assert main([*arguments, "--update-card", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    command = (
        "python -m tokenlearner evaluate mine.safetensors photos --split split.json --limit 13 --davis davis.tar "
        "--image-model image.safetensors --seed 0"
    )
    for words in (
        "13 clips made of 12 photographs",
        "NOT TRAINED",
        f"again: {command}",
        "guessing names 8.3 % of the motions",
        "turning counter-clockwise",
        "2 sequences of davis.tar, 10 frames",
        "image, frame by frame",
    ):
        assert words in printed
    measured = load_checkpoint(path).card.metrics["evaluation"]  # weights and card still belong together
    assert measured["conditions"]["command"] == command
    assert measured["conditions"]["sequences"] == "2 of davis.tar, 10 frames with an object"
    data = json.loads(out.read_text())
    assert measured["choices"][0]["motion"] == round(data["choices"][0]["motion"], 5)
    assert measured["objects in clips"][0]["maps"] == "tokens"
    real = {(one["maps"], one.get("loc"), one["num_tokens"]): one for one in measured["objects in sequences"]}
    assert real["tokens", 2, 4]["mass"] > 0.75
    assert "peak" not in real["uniform", None, 1]
    page = (tmp_path / "mine.md").read_text()
    assert "### evaluation / objects in sequences" in page
    assert str(tmp_path) not in page
    assert str(folder) not in page
