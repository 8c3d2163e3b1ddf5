import dataclasses

import numpy as np
import pytest
import torch

from tests.analysis_cases import SEEING, photograph, seeing_model
from tokenlearner.analysis.maps import as_shares, regrid_mean
from tokenlearner.config import ModelConfig, TokenLearnerConfig, named_config
from tokenlearner.errors import ConfigError
from tokenlearner.evaluation.collect import Choice, choices_of, collect, map_quality, maps_of, object_mass_of
from tokenlearner.model import TokenLearnerViT

RANDOM = dataclasses.replace(SEEING, embed_dim=12, num_heads=3)


def random_model(config: ModelConfig = RANDOM) -> TokenLearnerViT:
    torch.manual_seed(3)
    return TokenLearnerViT(config).eval()


def pictures(*hws: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*hw, 3), dtype=np.uint8) for hw in hws]


def test_choices_are_every_place_with_every_number_it_holds_and_none() -> None:
    assert choices_of(SEEING, (1, 3, 16)) == (
        *(Choice(0, k) for k in (1, 3, 4)),
        *(Choice(2, k) for k in (1, 3, 4)),
        Choice(None, 0),
    )


def test_model_with_fuser_has_no_plain_network() -> None:
    fused = dataclasses.replace(
        SEEING,
        token_learner=TokenLearnerConfig(num_tokens=4, use_fuser=True),
        tokenlearner_locs=(1,),
        default_loc=1,
    )
    assert choices_of(fused, (2,)) == (Choice(1, 2), Choice(1, 4))


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_one_pass_gives_what_separate_forward_passes_give(version: str) -> None:
    module = TokenLearnerConfig(num_tokens=4, version=version, bottleneck_dim=6)  # type: ignore[arg-type]
    model = random_model(dataclasses.replace(RANDOM, token_learner=module))
    frames = pictures((48, 64), (40, 56), (48, 64), (48, 64), (40, 56))
    choices = choices_of(model.config, (1, 3))
    found = collect(model, frames, choices, batch_size=2)
    for choice in choices:
        for position, frame in enumerate(frames):
            with torch.inference_mode():
                pixels = model.normalize(torch.from_numpy(frame))[None]
                alone = model(pixels, loc=choice.loc, num_tokens=choice.num_tokens or None)
            np.testing.assert_allclose(
                found.probs[choice][position], alone.logits.softmax(-1)[0].numpy(), rtol=1e-4, atol=1e-6
            )
            if alone.token_maps is not None:
                maps = alone.token_maps[0, 0].unflatten(-1, alone.grid_hw).numpy()
                np.testing.assert_allclose(found.first_tokens(choice)[position], as_shares(maps), rtol=1e-4, atol=1e-7)
        np.testing.assert_array_equal(found.predictions(choice), found.probs[choice].argmax(axis=1))


def test_prefix_runs_once_for_all_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model()
    runs = []
    for index, block in enumerate(model.blocks):
        original = block.forward
        monkeypatch.setattr(block, "forward", lambda x, i=index, f=original: runs.append((i, x.shape[1])) or f(x))
    collect(model, pictures((48, 64)), choices_of(model.config, (1, 2)))
    patches = 12 * 16
    assert sorted(run for run in runs if run[1] == patches) == [(0, patches), (1, patches), (2, patches)]


def test_progress_counts_pictures() -> None:
    told: list[int] = []
    collect(random_model(), pictures(*[(48, 64)] * 5), [Choice(0, 2)], batch_size=2, progress=told.append)
    assert told == [2, 4, 5]


def test_model_is_left_in_the_mode_it_was_in() -> None:
    model = random_model().train()
    collect(model, pictures((48, 64)), [Choice(0, 2)])
    map_quality(model, pictures((48, 64))[0][None], 0)
    assert model.training
    assert all(block.training for block in model.blocks)


def test_video_model_is_refused() -> None:
    video = TokenLearnerViT(
        named_config(
            "Ti/16",
            img_size=32,
            depth=1,
            num_classes=2,
            num_frames=2,
            token_learner=TokenLearnerConfig(),
            loc=0,
        )
    )
    with pytest.raises(ConfigError, match="measures image models"):
        collect(video, pictures((32, 32)), [Choice(0, 2)])
    with pytest.raises(ConfigError, match="measures image models"):
        map_quality(video, pictures((32, 32))[0][None], 0)


def test_place_without_module_is_refused() -> None:
    with pytest.raises(ConfigError, match="no TokenLearner before block 1"):
        collect(random_model(), pictures((48, 64)), [Choice(1, 2)])


def test_tokens_of_the_seeing_model_find_their_colour() -> None:
    rgb = np.stack([np.full((48, 64, 3), 255, dtype=np.uint8)] * 2)
    rgb[0, 8:20, 32:44] = (255, 0, 0)
    rgb[1, 28:40, 4:16] = (255, 0, 0)
    fractions = regrid_mean((rgb[..., 1] == 0).astype(float), SEEING.grid_hw())
    model = seeing_model()
    for loc in (0, 2):
        maps = maps_of(model, rgb, loc)
        assert [len(one) for one in maps] == [4, 4]
        found = object_mass_of(model, rgb, fractions, loc)
        assert found.best > 0.99
        assert (found.kept_token, found.found, found.peak) == (0, 1, 1)
        assert found.uniform == pytest.approx(12 * 12 / (48 * 64))
        assert found.mean_map == pytest.approx(0.5, abs=0.01)


def test_map_quality_of_the_seeing_model() -> None:
    rgb = np.full((2, 48, 64, 3), 255, dtype=np.uint8)
    rgb[0, 8:20, 32:44] = (255, 0, 0)
    rgb[1, 28:40, 4:16] = (255, 0, 0)
    one = map_quality(seeing_model(), rgb, 2, 1, batch_size=1)
    # Nine of 192 patches, evenly: disjoint in the two pictures.
    assert one.entropy == pytest.approx(np.log(9) / np.log(192), abs=0.01)
    assert one.adaptivity == pytest.approx(1 - (1 / 18 - 1 / 192) / (1 / 9 - 1 / 192), abs=0.01)
    assert one.overlap is None
    pair = map_quality(seeing_model(), rgb, 2, 2)
    assert pair.overlap is not None
    assert 0 < pair.overlap < np.sqrt(9 / 192)  # token 1 finds no green; uniform would have the root, but it shuns red
    assert not pair.collapsed


def test_photographs_of_the_cases_are_what_they_say() -> None:
    assert (photograph("green", 5)[0, 0] == 255).all()
    assert (photograph("green", 4, white=False).reshape(-1, 3) == (0, 255, 0)).all(axis=1).mean() > 0.05
