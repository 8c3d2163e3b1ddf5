from pathlib import Path

import numpy as np
import pytest
import torch

from tests.analysis_cases import SEEING_VIDEO, seeing, seeing_model, sequences_tar
from tokenlearner.analysis.maps import regrid_mean
from tokenlearner.analysis.objects import mass
from tokenlearner.engine.device import ComputeDevice
from tokenlearner.engine.geometry import plan_geometry
from tokenlearner.errors import DataError
from tokenlearner.evaluation.collect import Choice
from tokenlearner.evaluation.davis import list_sequences, read_frames, video_mass
from tokenlearner.evaluation.evaluate import random_rival
from tokenlearner.evaluation.results import FollowingResult, SequencesResult
from tokenlearner.evaluation.sequences import follow_sequences
from tokenlearner.model import TokenLearnerViT
from tokenlearner.weights import untrained

CPU = ComputeDevice(torch.device("cpu"))
FRAMES = 8  # one window of six, and two more


def row(found: SequencesResult, maps: str, loc: int | None = None, k: int = 1) -> FollowingResult:
    return next(one for one in found.following if (one.maps, one.loc, one.num_tokens) == (maps, loc, k))


def follow(model: TokenLearnerViT, tar: Path, *choices: Choice, **options: int | TokenLearnerViT) -> SequencesResult:
    rival = random_rival(untrained(SEEING_VIDEO), 0, np.zeros((2, 6, 48, 64, 3), dtype=np.uint8))
    chosen = choices or (Choice(0, 1), Choice(2, 4), Choice(None, 0))
    return follow_sequences(model, rival, list_sequences(tar), chosen, device=CPU, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sequences_tar(tmp_path_factory.mktemp("sequences") / "davis.tar", FRAMES)


@pytest.fixture(scope="module")
def found(tar: Path, tmp_path_factory: pytest.TempPathFactory) -> SequencesResult:
    image = seeing(tmp_path_factory.mktemp("image")).model
    return follow(seeing_model(SEEING_VIDEO), tar, image_model=image, image_name="image")


def test_frames_with_an_object_are_counted(found: SequencesResult) -> None:
    assert (found.name, found.sequences) == ("davis.tar", 2)
    assert found.frames == 2 * (FRAMES - 1)


def test_seeing_tokens_stay_on_the_object_and_rivals_do_not(found: SequencesResult) -> None:
    tokens = row(found, "tokens", 2, 4).following
    assert tokens.mass > 0.75  # the maps of a tubelet serve both of its frames, and the disc moves by 14 pixels
    assert tokens.peak is not None
    assert tokens.peak >= 0.8
    for rival in (*(row(found, name, 2, 4) for name in ("mean maps", "random weights")), row(found, "centre prior")):
        assert rival.following.mass < 0.5
    assert row(found, "uniform").following.mass == pytest.approx(np.pi * 20**2 / (96 * 128), rel=0.25)
    change = row(found, "frame difference").following
    assert 0.3 < change.mass < tokens.mass  # it sees where the disc was and will be, too


def test_one_token_for_all_finds_one_colour_only(found: SequencesResult) -> None:
    assert row(found, "tokens, one for all", 2, 4).following.mass < 0.6
    assert row(found, "tokens", 0, 1).following.mass < 0.6  # red alone


def test_image_model_frame_by_frame_agrees_with_its_own_evaluation(
    found: SequencesResult, tar: Path, tmp_path: Path
) -> None:
    image = seeing(tmp_path).model
    other = video_mass(image, image, list_sequences(tar), [Choice(2, 1), Choice(2, 4)])
    for k, theirs in ((1, other[0]), (4, other[1])):
        ours = row(found, "image", 2, k).following
        assert ours.mass == pytest.approx(theirs.kept, abs=1e-6)
        assert (ours.peak, ours.touch) == pytest.approx((theirs.kept_peak, theirs.kept_touch))
    assert row(found, "centre prior").following.mass == pytest.approx(other[0].centre_prior)


def test_windows_follow_one_another_and_the_last_repeats_its_last_frame(tar: Path) -> None:
    model = untrained(SEEING_VIDEO, seed=3).model
    with torch.no_grad():  # strong weights: attention over time is felt in the maps
        for parameter in model.parameters():
            parameter.mul_(8 if parameter.ndim > 1 else 1)
    sequence = list_sequences(tar)[0]
    plan = plan_geometry(SEEING_VIDEO, (96, 128))
    shots = list(read_frames(sequence, range(FRAMES)))
    inputs = [plan.to_input(rgb) for rgb, _ in shots]

    def kept_mass(filling: np.ndarray) -> float:
        masses = []
        for number, window in enumerate((inputs[:6], [*inputs[6:], *[filling] * 4])):
            pixels = torch.from_numpy(np.stack(window))
            with torch.inference_mode():
                maps = model(model.normalize(pixels[None]), loc=2).token_maps[0].unflatten(-1, plan.grid_hw).numpy()
            for i in range(6):
                frame = 6 * number + i
                if frame < FRAMES and shots[frame][1].any():
                    masses.append(mass(maps[i // 2], regrid_mean(shots[frame][1].astype(float), plan.grid_hw)))
        assert len(masses) == FRAMES - 1
        return float(np.mean(masses, axis=0).max())

    only = follow_sequences(model, model, [sequence], [Choice(2, 4)], device=CPU)
    found = row(only, "tokens", 2, 4).following.mass
    assert found == pytest.approx(kept_mass(inputs[-1]), abs=1e-5)
    assert abs(found - kept_mass(inputs[0])) > 1e-4


def test_first_frames_alone_can_be_measured(tar: Path) -> None:
    told: list[tuple[int, int]] = []
    rival = seeing_model(SEEING_VIDEO)
    few = follow_sequences(
        rival,
        rival,
        list_sequences(tar),
        [Choice(0, 2)],
        device=CPU,
        max_frames=3,
        progress=lambda done, total: told.append((done, total)),
    )
    assert few.frames == 6
    assert told == [(1, 2), (2, 2)]


def test_sequences_without_any_object_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="All masks of the sequences are empty"):
        follow(seeing_model(SEEING_VIDEO), sequences_tar(tmp_path / "davis.tar", 1))
