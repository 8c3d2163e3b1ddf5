"""Compute by closed form against three other routes: torch's counter, torch's parameters, published figures."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tokenlearner import flops
from tokenlearner.config import ModelConfig, TokenLearnerConfig, named_config
from tokenlearner.errors import ConfigError
from tokenlearner.model import TokenLearnerViT

V10 = TokenLearnerConfig(num_tokens=7, version="1.0")
V11 = TokenLearnerConfig(num_tokens=7, bottleneck_dim=11)

IMAGE = ModelConfig(
    img_size=(24, 30), patch_size=(4, 6), embed_dim=40, depth=5, num_heads=5, mlp_dim=52, num_classes=13
)
VIDEO = dataclasses.replace(IMAGE, num_frames=6, tubelet_size=2)
CONV = dataclasses.replace(
    IMAGE, patch_size=(4, 4), img_size=(24, 36), stem="conv", stem_dims=(9, 10, 14), stem_strides=(2, 1, 2)
)


def at(config: ModelConfig, module: TokenLearnerConfig, *locs: int, **changes: object) -> ModelConfig:
    return dataclasses.replace(
        config,
        token_learner=module,
        tokenlearner_locs=locs,
        default_loc=locs[0],
        **changes,  # type: ignore[arg-type]
    )


FUSED = dataclasses.replace(V11, use_fuser=True)
CONFIGS = {
    "plain image": IMAGE,
    "plain video": VIDEO,
    "plain, conv stem": CONV,
    "v1.1": at(IMAGE, V11, 2),
    "v1.0": at(IMAGE, V10, 2),
    "v1.1 before block 0": at(IMAGE, V11, 0),
    "v1.0 before the last block": at(IMAGE, V10, 4),
    "v1.1 fuser": at(IMAGE, FUSED, 2),
    "v1.0 fuser without norms": at(IMAGE, dataclasses.replace(V10, use_fuser=True, fuser_norm=False), 3),
    "elastic, conv stem": at(CONV, V11, 1, 3, 4),
    "video v1.1": at(VIDEO, V11, 2),
    "video v1.0": at(VIDEO, V10, 1),
    "video fuser": at(VIDEO, FUSED, 3),
    "pre_logits": at(IMAGE, V11, 2, representation_size=17),
    "video, conv stem": at(dataclasses.replace(CONV, num_frames=6, tubelet_size=3), V11, 1, 3),
    "average pooling": at(IMAGE, dataclasses.replace(V11, version="average"), 2),
    "strided pooling, video": at(VIDEO, dataclasses.replace(V11, version="strided"), 1),
    "one token": at(IMAGE, TokenLearnerConfig(num_tokens=1, version="1.0"), 2),
    "odd mlp ratio": dataclasses.replace(IMAGE, embed_dim=47, num_heads=1, mlp_dim=48),
}
CALLS = [
    pytest.param(config, loc, k, id=f"{name}, loc {loc}, k {k}")
    for name, config in CONFIGS.items()
    for loc in (None, *config.tokenlearner_locs)
    for k in ((None,) if loc is None else {1, 3, config.num_tokens} if config.num_tokens > 1 else {1})
]


def pixels(config: ModelConfig, *, frames: int | None = None, image_hw: tuple[int, int] | None = None) -> torch.Tensor:
    time = () if config.num_frames is None else (frames or config.num_frames,)
    return torch.rand(1, *time, 3, *(image_hw or config.img_size))


def counter() -> FlopCounterMode:
    return FlopCounterMode(display=False)


def counted_macs(model: TokenLearnerViT, x: torch.Tensor, loc: int | None, k: int | None) -> int:
    """Multiply-adds as torch counts them, which is exact where attention is spelled out."""
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), counter() as count:
        model(x, loc=loc, num_tokens=k)
    macs, rest = divmod(count.get_total_flops(), 2)
    assert rest == 0
    return macs


@pytest.mark.parametrize(("config", "loc", "k"), CALLS)
def test_total_equals_what_torch_counts(config: ModelConfig, loc: int | None, k: int | None) -> None:
    model = TokenLearnerViT(config).eval()
    expected = counted_macs(model, pixels(config), loc, k)
    assert flops.compute(config, loc=loc, num_tokens=k).total_macs == expected


@pytest.mark.parametrize("name", ["v1.1", "v1.0", "elastic, conv stem", "video v1.1", "pre_logits"])
def test_stages_equal_what_torch_counts_for_prefix_tokenize_and_suffix(name: str) -> None:
    config = CONFIGS[name]
    loc, k = config.tokenlearner_locs[-1], 3
    model = TokenLearnerViT(config).eval()
    macs = {}
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
        with counter() as count:
            model.embed(pixels(config))
        macs["embed"] = count.get_total_flops() // 2
        with counter() as count:
            features = model.prefix(pixels(config), loc)
        macs["prefix"] = count.get_total_flops() // 2
        with counter() as count:
            tokens = model.tokenize(features, k)
        macs["tokenize"] = count.get_total_flops() // 2
        with counter() as count:
            encoded = model.suffix(tokens).pooled
        macs["suffix"] = count.get_total_flops() // 2
        with counter() as count:
            model.head(encoded)
        macs["classifier"] = count.get_total_flops() // 2
    stages = flops.compute(config, loc=loc, num_tokens=k).stages
    pre_logits = config.embed_dim * (config.representation_size or 0)
    assert stages == {
        "patch embedding": macs["embed"],
        "blocks before": macs["prefix"] - macs["embed"],
        "TokenLearner": macs["tokenize"],
        "TokenFuser": 0,
        "blocks after": macs["suffix"] - macs["classifier"] - pre_logits,
        "head": macs["classifier"] + pre_logits,
    }


def test_fuser_stages_equal_what_torch_counts_by_module() -> None:
    config, k = CONFIGS["video fuser"], 3
    model = TokenLearnerViT(config).eval()
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), counter() as count:
        model(pixels(config), num_tokens=k)
    by_module = {name: sum(ops.values()) // 2 for name, ops in count.get_flop_counts().items()}

    def total(part: str, first: int) -> int:
        return sum(by_module[f"TokenLearnerViT.{part}.{i}"] for i in range(first, config.depth))

    stages = flops.compute(config, num_tokens=k).stages
    assert stages["TokenLearner"] == total("token_learners", 3)
    assert stages["TokenFuser"] == total("token_fusers", 3)
    assert stages["blocks after"] == total("blocks", 3)


@pytest.mark.parametrize("name", ["v1.1", "v1.0", "elastic, conv stem", "video v1.1", "video fuser"])
def test_other_inputs_than_the_standard_one_equal_what_torch_counts(name: str) -> None:
    config = CONFIGS[name]
    image_hw = (5 * config.patch_size[0], 9 * config.patch_size[1])
    frames = 4 if config.is_video else None
    loc = config.tokenlearner_locs[0]
    x = pixels(config, frames=frames, image_hw=image_hw)
    expected = counted_macs(TokenLearnerViT(config).eval(), x, loc, 3)
    compute = flops.compute(config, image_hw=image_hw, num_frames=frames, num_tokens=3)
    assert compute.total_macs == expected
    assert compute.params == flops.count_params(config)


@pytest.mark.parametrize("name", CONFIGS)
def test_params_equal_the_models(name: str) -> None:
    config = CONFIGS[name]
    expected = sum(p.numel() for p in TokenLearnerViT(config).parameters())
    assert flops.count_params(config) == expected
    assert flops.compute(config).params == expected


@pytest.mark.parametrize(
    ("arch", "options"),
    [
        ("B/16", {"img_size": (384, 256), "token_learner": TokenLearnerConfig(num_tokens=8), "loc": 6}),
        ("L/16", {"num_frames": 32, "token_learner": TokenLearnerConfig(num_tokens=16), "loc": 12}),
        ("Ti/8", {"token_learner": TokenLearnerConfig(version="1.0", use_fuser=True), "loc": 9}),
    ],
)
def test_named_networks_equal_what_torch_counts(arch: str, options: dict[str, object]) -> None:
    config = named_config(arch, **options)  # type: ignore[arg-type]
    with torch.device("meta"):  # shapes without numbers: the full size costs neither memory nor time
        model = TokenLearnerViT(config).eval()
        expected = counted_macs(model, pixels(config), config.default_loc, None)
    assert flops.compute(config).total_macs == expected
    assert flops.count_params(config) == sum(p.numel() for p in model.parameters())


def published_networks() -> dict[str, ModelConfig]:
    eight, sixteen = TokenLearnerConfig(num_tokens=8), TokenLearnerConfig(num_tokens=16)
    return {
        "ViT B/16 @384": named_config("B/16", img_size=384),
        "TokenLearner B/16 @384, 8 at 6": named_config("B/16", img_size=384, token_learner=eight, loc=6),
        "TokenLearner B/16 (21), 8 at 10": named_config("B/16", img_size=384, depth=21, token_learner=eight, loc=10),
        "16-TokenLearner B/16 (21), 16 at 10": named_config(
            "B/16", img_size=384, depth=21, token_learner=sixteen, loc=10
        ),
        "ViT L/16 @512": named_config("L/16", img_size=512),
        "16-TokenLearner L/16 @512, 16 at 12": named_config("L/16", img_size=512, token_learner=sixteen, loc=12),
        "ViViT-L/16x2, 32 frames": named_config("L/16", num_frames=32),
        "16at12 L/16": named_config("L/16", num_frames=32, token_learner=sixteen, loc=12),
        # 224 is no multiple of 10: the reference's unpadded convolution uses 220 of the pixels.
        "16at18 L/10": named_config("L/10", img_size=220, num_frames=32, token_learner=sixteen, loc=18),
    }


PUBLISHED = {
    # GMACs of an independent closed form, and the figure of the paper (whose GFLOPs are GMACs).
    "ViT B/16 @384": (55.38, 55.6),
    "TokenLearner B/16 @384, 8 at 6": (28.23, 28.7),
    "TokenLearner B/16 (21), 8 at 10": (46.86, 47.1),
    "16-TokenLearner B/16 (21), 16 at 10": (47.49, 47.7),
    "ViT L/16 @512": (361.58, 363.1),
    "16-TokenLearner L/16 @512, 16 at 12": (183.7, 178.1),
    "ViViT-L/16x2, 32 frames": (1435.4, 1446.0),
    "16at12 L/16": (760.7, 766.0),
    "16at18 L/10": (3990.2, 4076.0),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures_are_reproduced(name: str) -> None:
    closed_form, paper = PUBLISHED[name]
    gmacs = flops.compute(published_networks()[name]).total_macs / 1e9
    assert round(gmacs, 2 if closed_form < 500 else 1) == closed_form
    # No consistent placement reaches this one figure: the closed form lies 3.15 % above it.
    tolerance = 0.032 if name == "16-TokenLearner L/16 @512, 16 at 12" else 0.022
    assert gmacs == pytest.approx(paper, rel=tolerance)


def test_published_figures_are_those_of_the_data_file(shared_dir: Path) -> None:
    rows = json.loads((shared_dir / "published.json").read_text())["closed_form_check"]["rows"]
    assert {name: (closed_form, paper) for name, closed_form, paper in rows} == PUBLISHED


def test_hand_count_of_a_tiny_network() -> None:
    # 2x3 patches of 2x2 pixels, width 4, one block before and one after, 2 tokens, bottleneck 3, 5 classes.
    config = ModelConfig(
        img_size=(4, 6),
        patch_size=(2, 2),
        embed_dim=4,
        depth=2,
        num_heads=2,
        mlp_dim=8,
        num_classes=5,
        token_learner=TokenLearnerConfig(num_tokens=2, bottleneck_dim=3),
        tokenlearner_locs=(1,),
        default_loc=1,
    )
    assert flops.compute(config).stages == {
        "patch embedding": 6 * 12 * 4,
        "blocks before": 6 * (4 * 16 + 2 * 32) + 2 * 36 * 4,
        "TokenLearner": 6 * 4 * 3 + 6 * 3 * 2 + 2 * 6 * 4,
        "TokenFuser": 0,
        "blocks after": 2 * (4 * 16 + 2 * 32) + 2 * 4 * 4,
        "head": 4 * 5,
    }


def test_flops_are_twice_the_macs() -> None:
    compute = flops.compute(CONFIGS["v1.1"])
    assert compute.total_macs == sum(compute.stages.values())
    assert compute.total_flops == 2 * compute.total_macs


def test_baseline_is_the_network_without_modules() -> None:
    assert flops.baseline(CONFIGS["elastic, conv stem"]) == flops.compute(CONV)
    assert flops.baseline(CONFIGS["video fuser"], image_hw=(20, 54), num_frames=8) == flops.compute(
        VIDEO, image_hw=(20, 54), num_frames=8
    )


def test_a_location_without_module_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no TokenLearner before block 3 \(it has: 2\)"):
        flops.compute(CONFIGS["v1.1"], loc=3)


def test_more_tokens_than_held_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"num_tokens 8 lies outside 1\.\.7"):
        flops.compute(CONFIGS["v1.1"], num_tokens=8)


def test_an_input_that_is_no_whole_number_of_patches_is_refused() -> None:
    with pytest.raises(ConfigError, match="24x31 pixels is not a whole number of 4x6 patches"):
        flops.compute(IMAGE, image_hw=(24, 31))


def test_a_clip_that_is_no_whole_number_of_tubelets_is_refused() -> None:
    with pytest.raises(ConfigError, match="5 frames is not a whole number of tubelets of 2 frames"):
        flops.compute(VIDEO, num_frames=5)


def test_frames_of_an_image_model_are_refused() -> None:
    with pytest.raises(ConfigError, match="An image model takes no num_frames"):
        flops.compute(IMAGE, num_frames=8)
