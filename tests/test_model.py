"""The network in three functions: composition, elasticity, sizes, threads, refusals."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer

from tokenlearner.config import ModelConfig, TokenLearnerConfig
from tokenlearner.errors import ConfigError
from tokenlearner.model import FeatureMap, TokenLearnerViT


def image_config(**changes: object) -> ModelConfig:
    base = ModelConfig(
        img_size=(24, 40),
        patch_size=(8, 8),
        embed_dim=24,
        depth=5,
        num_heads=3,
        mlp_dim=44,
        num_classes=7,
        token_learner=TokenLearnerConfig(num_tokens=6, bottleneck_dim=10),
        tokenlearner_locs=(0, 2, 4),
        default_loc=2,
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def video_config(**changes: object) -> ModelConfig:
    return image_config(num_frames=6, tubelet_size=2, **changes)


def build(config: ModelConfig, seed: int = 0) -> TokenLearnerViT:
    torch.manual_seed(seed)
    model = TokenLearnerViT(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


IMAGES = torch.randn(2, 3, 24, 40, generator=torch.Generator().manual_seed(1))
CLIPS = torch.randn(2, 6, 3, 24, 40, generator=torch.Generator().manual_seed(2))


@torch.inference_mode()
def test_without_a_module_it_is_timms_vision_transformer() -> None:
    config = image_config(token_learner=None, tokenlearner_locs=(), default_loc=None, mlp_dim=48)
    ours = build(config)
    theirs = VisionTransformer(
        img_size=(24, 40),
        patch_size=8,
        num_classes=7,
        embed_dim=24,
        depth=5,
        num_heads=3,
        mlp_ratio=2,
        class_token=False,
        global_pool="avg",
        fc_norm=False,
        act_layer="gelu_tanh",
    ).eval()
    state = {key.replace("embed.proj", "patch_embed.proj"): value for key, value in ours.state_dict().items()}
    state = {key: value for key, value in state.items() if key not in ("mean", "std")}
    state["pos_embed"] = state["pos_embed"].flatten(1, 2)
    theirs.load_state_dict(state)
    assert torch.allclose(ours(IMAGES, loc=None).logits, theirs(IMAGES), atol=1e-5)


@pytest.mark.parametrize("config", [image_config(), video_config()], ids=["image", "video"])
@torch.inference_mode()
def test_the_whole_pass_is_the_composition_of_its_three_parts(config: ModelConfig) -> None:
    model = build(config)
    pixels = CLIPS if config.is_video else IMAGES
    for loc in config.tokenlearner_locs:
        for k in (1, 4, 6):
            parts = model.suffix(model.tokenize(model.prefix(pixels, loc), k))
            whole = model(pixels, loc=loc, num_tokens=k)
            assert torch.equal(parts.logits, whole.logits)
            assert whole.token_maps is not None
            assert whole.token_maps.shape == (2, config.num_time_steps, k, 15)
            assert whole.encoded.shape == (2, config.num_time_steps * k, 24)
    assert torch.equal(model.suffix(model.prefix(pixels, None)).logits, model(pixels, loc=None).logits)


@torch.inference_mode()
def test_one_pass_gives_the_features_before_every_location() -> None:
    model = build(image_config())
    together = model.prefixes(IMAGES, (4, None, 0))
    for loc in (0, 4, None):
        assert torch.allclose(together[loc].x, model.prefix(IMAGES, loc).x, atol=1e-6)
        assert together[loc].loc == loc
        assert together[loc].grid_hw == (3, 5)


@torch.inference_mode()
def test_locations_and_token_counts_give_different_answers() -> None:
    model = build(image_config())
    answers = [model(IMAGES, loc=loc, num_tokens=k).logits for loc in (0, 2, 4) for k in (2, 6)]
    answers.append(model(IMAGES, loc=None).logits)
    for i, one in enumerate(answers):
        for other in answers[i + 1 :]:
            assert not torch.allclose(one, other, atol=1e-4)
    assert torch.equal(model(IMAGES).logits, model(IMAGES, loc=2, num_tokens=6).logits)


@torch.inference_mode()
def test_the_module_of_a_video_model_looks_at_one_time_step_alone() -> None:
    model = build(video_config(tokenlearner_locs=(0,), default_loc=0))
    changed = CLIPS.clone()
    changed[:, 2:4] += 1
    before, after = model(CLIPS).token_maps, model(changed).token_maps
    assert before is not None
    assert after is not None
    same = (before - after).abs().amax(dim=(0, 2, 3)) < 1e-6
    assert same.tolist() == [True, False, True]


@torch.inference_mode()
def test_blocks_of_a_video_model_join_space_and_time() -> None:
    model = build(video_config(tokenlearner_locs=(0,), default_loc=0))
    changed = CLIPS.clone()
    changed[:, 0] += 1
    moved = (model(CLIPS).encoded - model(changed).encoded).abs().sum(-1)
    assert bool((moved > 1e-6).all())


@torch.inference_mode()
def test_dropped_tokens_leave_the_others_as_if_they_had_never_been() -> None:
    model = build(image_config())
    tokens = model.tokenize(model.prefix(IMAGES, 2), 6)
    first = model.suffix(tokens, keep=torch.tensor([True] * 3 + [False] * 3))
    assert torch.allclose(first.logits, model(IMAGES, loc=2, num_tokens=3).logits, atol=1e-6)
    others = model.suffix(tokens, keep=torch.tensor([False, True] * 3))
    assert not torch.allclose(first.logits, others.logits, atol=1e-4)


@torch.inference_mode()
def test_other_sizes_and_clip_lengths_resample_the_position_embedding() -> None:
    model = build(video_config())
    larger = model(torch.randn(1, 8, 3, 32, 16))
    assert larger.grid_hw == (4, 2)
    assert larger.token_maps is not None
    assert larger.token_maps.shape == (1, 4, 6, 8)
    own = model._pos_embed(3, (3, 5))
    assert torch.equal(own, model.pos_embed)
    with torch.no_grad():
        model.pos_embed.copy_(torch.arange(3.0).view(1, 3, 1, 1).expand_as(model.pos_embed))  # time alone
    stretched = model._pos_embed(6, (6, 10))
    assert stretched.shape == (1, 6, 60, 24)
    assert torch.allclose(stretched[0, :, 7, 3], torch.tensor([0.0, 0.25, 0.75, 1.25, 1.75, 2.0]), atol=1e-5)


@torch.inference_mode()
def test_a_transposed_picture_is_not_taken_for_the_same_grid() -> None:
    model = build(image_config())
    tall = model(IMAGES.transpose(2, 3))
    assert tall.grid_hw == (5, 3)
    assert not torch.allclose(tall.logits, model(IMAGES).logits, atol=1e-4)


@pytest.mark.parametrize(("pool", "reduce"), [("avg", torch.mean), ("max", torch.amax), ("sum", torch.sum)])
@torch.inference_mode()
def test_the_head_pools_as_told_and_pre_logits_end_in_tanh(pool: str, reduce: object) -> None:
    model = build(image_config(head_pool=pool, representation_size=9))
    out = model(IMAGES)
    pooled = torch.tanh(model.pre_logits(reduce(out.encoded, dim=1)))  # type: ignore[operator]
    assert torch.allclose(out.pooled, pooled, atol=1e-6)
    assert torch.allclose(out.logits, model.head(pooled), atol=1e-6)


@pytest.mark.parametrize("representation_size", [None, 20])
def test_under_autocast_classes_that_are_nearly_as_probable_are_still_told_apart(
    representation_size: int | None,
) -> None:
    model = build(image_config(representation_size=representation_size))
    with torch.no_grad():
        model.head.weight[1] = model.head.weight[0]
        model.head.bias[:2] = torch.tensor([5.0, 5.001])  # one number in bfloat16
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(IMAGES)
    assert output.logits.dtype == output.pooled.dtype == torch.float32
    torch.testing.assert_close(output.logits[:, 1] - output.logits[:, 0], torch.full((2,), 0.001), rtol=1e-2, atol=1e-6)


@torch.inference_mode()
def test_with_a_fuser_every_later_block_has_maps_of_its_own_and_the_grid_comes_back() -> None:
    tl = TokenLearnerConfig(num_tokens=6, bottleneck_dim=10, use_fuser=True)
    for config, pixels in (
        (image_config(token_learner=tl, tokenlearner_locs=(3,), default_loc=3), IMAGES),
        (video_config(token_learner=tl, tokenlearner_locs=(3,), default_loc=3), CLIPS),
    ):
        model = build(config)
        out = model(pixels, num_tokens=4)
        assert len(out.all_token_maps) == 2
        assert out.token_maps is out.all_token_maps[0]
        assert out.encoded.shape == (2, config.num_time_steps * 15, 24)


@torch.inference_mode()
def test_two_threads_on_one_model_get_their_own_maps() -> None:
    model = build(image_config())
    inputs = [torch.randn(1, 3, 24, 40, generator=torch.Generator().manual_seed(i)) for i in range(8)]
    settings = [(loc, k) for loc in (0, 2, 4) for k in (2, 5)]
    jobs = [(pixels, *setting) for pixels in inputs for setting in settings] * 3

    @torch.inference_mode()
    def run(job: tuple[torch.Tensor, int, int]) -> torch.Tensor:
        maps = model(job[0], loc=job[1], num_tokens=job[2]).token_maps
        assert maps is not None
        return maps

    alone = [run(job) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, jobs))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(alone, together, strict=True))


def test_pixels_are_normalised_by_the_constants_of_the_configuration() -> None:
    model = build(image_config(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 1.0)))
    rgb = torch.zeros(2, 4, 5, 3, dtype=torch.uint8)
    rgb[..., 1] = 255
    pixels = model.normalize(rgb)
    assert pixels.shape == (2, 3, 4, 5)
    assert pixels[0, :, 0, 0].tolist() == pytest.approx([-0.2, 3.2, -0.3])


def test_a_location_without_a_module_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no TokenLearner before block 3 \(it has: 0, 2, 4\)"):
        build(image_config())(IMAGES, loc=3)


def test_more_tokens_than_the_module_holds_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"num_tokens 7 lies outside 1\.\.6"):
        build(image_config())(IMAGES, num_tokens=7)


def test_a_picture_of_broken_patches_is_refused() -> None:
    with pytest.raises(ConfigError, match="30x40 pixels is not a whole number of 8x8 patches"):
        build(image_config())(torch.zeros(1, 3, 30, 40))


def test_a_clip_of_broken_tubelets_is_refused() -> None:
    with pytest.raises(ConfigError, match="5 frames is not a whole number of tubelets of 2 frames"):
        build(video_config())(CLIPS[:, :5])


def test_a_picture_for_a_video_model_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"takes clips .*not an array of 4 dimensions"):
        build(video_config())(IMAGES)


def test_features_before_a_block_do_not_pass_for_the_end_of_the_network() -> None:
    model = build(image_config())
    features = model.prefix(IMAGES, 2)
    with pytest.raises(ConfigError, match="Features before block 2 must be tokenized first"):
        model.suffix(features)
    with pytest.raises(ConfigError, match="passed all blocks"):
        model.tokenize(FeatureMap(features.x, features.grid_hw, None))


def test_dropping_every_token_or_any_token_of_a_fused_model_is_refused() -> None:
    model = build(image_config())
    tokens = model.tokenize(model.prefix(IMAGES, 2))
    with pytest.raises(ConfigError, match="At least one token must be kept"):
        model.suffix(tokens, keep=torch.zeros(6, dtype=torch.bool))
    tl = TokenLearnerConfig(num_tokens=6, use_fuser=True)
    fused = build(image_config(token_learner=tl, tokenlearner_locs=(3,), default_loc=3))
    with pytest.raises(ConfigError, match="without TokenFuser"):
        fused.suffix(fused.tokenize(fused.prefix(IMAGES, 3)), keep=torch.ones(6, dtype=torch.bool))


@pytest.mark.parametrize(
    ("locs", "message"), [((), "Name at least one location"), ((2, 99), "there is no place before block 99")]
)
def test_a_way_to_nowhere_is_refused(locs: tuple[int, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(image_config()).prefixes(IMAGES, locs)
