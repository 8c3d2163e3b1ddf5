import dataclasses
import json
from typing import Any

import pytest

from tokenlearner.config import (
    ARCH_PATCHES,
    ARCH_SIZES,
    LabelGroup,
    ModelConfig,
    TokenLearnerConfig,
    named_config,
    parse_arch,
)
from tokenlearner.errors import ConfigError
from tokenlearner.flops import count_params

IMAGE = ModelConfig(img_size=(24, 30), patch_size=(4, 6), embed_dim=40, depth=5, num_heads=4, mlp_dim=52, num_classes=3)
VIDEO = dataclasses.replace(IMAGE, num_frames=6, tubelet_size=2)
CONV = dataclasses.replace(
    IMAGE, patch_size=(4, 4), img_size=(24, 36), stem="conv", stem_dims=(8, 9), stem_strides=(2, 2)
)
ELASTIC = dataclasses.replace(
    IMAGE,
    token_learner=TokenLearnerConfig(num_tokens=7),
    tokenlearner_locs=(1, 3),
    default_loc=3,
    class_names=("ant", "bee", "cow"),
)

UNCHECKED = pytest.mark.usefixtures("unchecked_signatures")


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (IMAGE, {"depth": 0}, "depth must be at least 1, not 0."),
        (IMAGE, {"img_size": (24, -6)}, "img_width must be at least 1, not -6."),
        (IMAGE, {"representation_size": 0}, "representation_size must be at least 1, not 0."),
        (IMAGE, {"head_pool": "cls"}, 'head_pool must be one of avg, max, sum, not "cls".'),
        (IMAGE, {"stem": "hybrid"}, 'stem must be one of patch, conv, not "hybrid".'),
        (IMAGE, {"num_heads": 3}, "embed_dim 40 is not a multiple of num_heads 3."),
        (IMAGE, {"img_size": (24, 31)}, "An input of 24x31 pixels is not a whole number of 4x6 patches."),
        (IMAGE, {"stem_dims": (8,)}, 'stem_dims and stem_strides belong to stem="conv" alone.'),
        (CONV, {"stem_dims": (8,)}, 'stem="conv" needs stem_dims and stem_strides of one length.'),
        (CONV, {"stem_dims": (), "stem_strides": ()}, 'stem="conv" needs stem_dims and stem_strides of one length.'),
        (CONV, {"stem_dims": (8, 0)}, "stem_dims[1] must be at least 1, not 0."),
        (CONV, {"stem_strides": (4, 1)}, "stem_strides (4, 1) must each be 1 or 2."),
        (CONV, {"stem_strides": (2, 1)}, "stem_strides multiply to 2, but patch_size is (4, 4)."),
        (
            IMAGE,
            {"label_groups": (LabelGroup(name="what", num_classes=4),)},
            "The label groups hold 4 classes, the model 3.",
        ),
        (IMAGE, {"tubelet_size": 2}, "tubelet_size belongs to a video model: set num_frames too."),
        (VIDEO, {"num_frames": 0}, "num_frames must be at least 1, not 0."),
        (VIDEO, {"num_frames": 7}, "num_frames 7 is not a multiple of tubelet_size 2."),
        (
            IMAGE,
            {"tokenlearner_locs": (2,)},
            "token_learner and tokenlearner_locs are given together or not at all.",
        ),
        (ELASTIC, {"tokenlearner_locs": (3, 1)}, "tokenlearner_locs (3, 1) must ascend without repeats."),
        (ELASTIC, {"tokenlearner_locs": (3, 3)}, "tokenlearner_locs (3, 3) must ascend without repeats."),
        (ELASTIC, {"tokenlearner_locs": (3, 5)}, "tokenlearner_loc 5 lies outside 0..4."),
        (ELASTIC, {"default_loc": 2}, "default_loc 2 is not one of (1, 3)."),
        (
            ELASTIC,
            {"token_learner": TokenLearnerConfig(use_fuser=True)},
            "With TokenFuser a model has exactly one location, from which on every block is fused.",
        ),
        (ELASTIC, {"num_classes": 4}, "3 class names were given for 4 classes."),
    ],
)
@UNCHECKED
def test_a_model_that_cannot_exist_is_refused(config: ModelConfig, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        dataclasses.replace(config, **changes)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_tokens": 0}, "num_tokens must be at least 1, not 0."),
        ({"bottleneck_dim": -1}, "bottleneck_dim must be at least 1, not -1."),
        ({"version": "2.0"}, 'version must be one of 1.0, 1.1, average, strided, not "2.0".'),
        ({"pooling": "max"}, 'pooling must be one of sum, mean, not "max".'),
    ],
)
@UNCHECKED
def test_a_module_that_cannot_exist_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        TokenLearnerConfig(**options)
    assert str(refused.value) == message


def test_each_question_has_logits_of_its_own() -> None:
    groups = (LabelGroup(name="object", num_classes=9), LabelGroup(name="motion", num_classes=4))
    config = dataclasses.replace(IMAGE, num_classes=13, label_groups=groups)
    assert config.group_slices() == {"object": slice(0, 9), "motion": slice(9, 13)}
    assert IMAGE.group_slices() == {"class": slice(0, 3)}
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_question_without_answers_is_refused() -> None:
    with pytest.raises(ConfigError, match="num_classes of motion must be at least 1, not 0"):
        LabelGroup(name="motion", num_classes=0)


def test_grid_is_rows_by_columns_of_any_input() -> None:
    assert IMAGE.grid_hw() == (6, 5)
    assert IMAGE.grid_hw((8, 42)) == (2, 7)


@pytest.mark.parametrize("image_hw", [(25, 30), (24, 32), (0, 30)])
def test_grid_refuses_an_input_that_is_no_whole_number_of_patches(image_hw: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match=f"An input of {image_hw[0]}x{image_hw[1]} pixels is not a whole number"):
        IMAGE.grid_hw(image_hw)


def test_time_steps_are_tubelets() -> None:
    assert IMAGE.num_time_steps == 1
    assert VIDEO.num_time_steps == 3
    assert VIDEO.time_steps(10) == 5


@pytest.mark.parametrize("num_frames", [0, 5])
def test_time_steps_refuse_a_part_of_a_tubelet(num_frames: int) -> None:
    with pytest.raises(ConfigError, match=f"A clip of {num_frames} frames is not a whole number of tubelets of 2"):
        VIDEO.time_steps(num_frames)


def test_time_steps_of_an_image_model_are_refused() -> None:
    with pytest.raises(ConfigError, match="An image model takes no num_frames: it sees a video frame by frame"):
        IMAGE.time_steps(2)


def test_a_choice_stands_for_a_number_of_tokens() -> None:
    assert ELASTIC.check_choice(1, 4) == 4
    assert ELASTIC.check_choice(3, None) == 7
    assert ELASTIC.check_choice(None, None) == 0


def test_a_location_that_is_not_held_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no TokenLearner before block 2 \(it has: 1, 3\)"):
        ELASTIC.check_choice(2, 4)
    with pytest.raises(ConfigError, match=r"no TokenLearner before block 2 \(it has: none\)"):
        IMAGE.check_choice(2, 4)


@pytest.mark.parametrize("num_tokens", [0, 8])
def test_a_number_of_tokens_that_is_not_held_is_refused(num_tokens: int) -> None:
    with pytest.raises(ConfigError, match=rf"num_tokens {num_tokens} lies outside 1\.\.7"):
        ELASTIC.check_choice(3, num_tokens)


@pytest.mark.parametrize("config", [IMAGE, VIDEO, CONV, ELASTIC])
def test_settings_survive_json(config: ModelConfig) -> None:
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_repr_can_be_pasted_back() -> None:
    config = dataclasses.replace(ELASTIC, class_names=())
    assert eval(repr(config)) == config


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"Unknown model settings: colour, shape\. A newer version may have written"):
        ModelConfig.from_dict({**IMAGE.to_dict(), "shape": 1, "colour": 2})


@UNCHECKED
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"token_learner": {"tokens": 8}}, "unexpected keyword argument 'tokens'"),
        ({"depth": "twelve"}, "'<' not supported between"),
        ({"img_size": [24]}, "tuple index out of range"),
    ],
)
def test_unusable_settings_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match="The model settings cannot be used: .*" + reason):
        ModelConfig.from_dict({**IMAGE.to_dict(), **changes})


def test_missing_settings_are_refused() -> None:
    settings = IMAGE.to_dict()
    del settings["depth"]
    with pytest.raises(ConfigError, match=r"The model settings cannot be used: .*missing .* 'depth'"):
        ModelConfig.from_dict(settings)


def test_every_named_size_is_read() -> None:
    for size, arch in ARCH_SIZES.items():
        for patch in ARCH_PATCHES:
            assert parse_arch(f"{size}/{patch}") == (arch, patch)


def test_the_large_sizes_hold_as_many_numbers_as_they_were_published_with() -> None:
    # In millions, as the ViT papers give them: with a class token, and classifiers of their own sizes.
    for arch, published in (("B/16", 86), ("L/16", 307), ("H/14", 632), ("G/14", 1843)):
        assert count_params(named_config(arch)) / 1e6 == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize("arch", ["B/12", "M/16", "b/16", "B16", "XL/16", "B/16 "])
def test_an_unknown_name_is_refused_with_the_known_ones(arch: str) -> None:
    with pytest.raises(
        ConfigError, match=rf'"{arch}" is not a named architecture\. Known: Ti, S, .*, G, .* 32, 16, 14, 10, 8 pixels'
    ):
        parse_arch(arch)


def test_a_named_video_network_with_module() -> None:
    module = TokenLearnerConfig(num_tokens=16)
    config = named_config("L/32", img_size=(64, 96), num_classes=5, depth=7, token_learner=module, loc=4, num_frames=12)
    assert config == ModelConfig(
        img_size=(64, 96),
        patch_size=(32, 32),
        embed_dim=1024,
        depth=7,
        num_heads=16,
        mlp_dim=4096,
        num_classes=5,
        num_frames=12,
        tubelet_size=2,
        token_learner=module,
        tokenlearner_locs=(4,),
        default_loc=4,
    )


def test_a_named_image_network_without_module() -> None:
    config = named_config("S/16", img_size=48)
    assert (config.img_size, config.depth, config.num_classes) == ((48, 48), 12, 1000)
    assert not config.is_video
    assert config.num_tokens == 0
    assert not config.uses_fuser
