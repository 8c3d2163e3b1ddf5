"""A video model started from an image model sees a clip of equal frames as the image model sees the frame."""

import dataclasses

import pytest
import torch

from tokenlearner.config import LabelGroup, ModelConfig, TokenLearnerConfig
from tokenlearner.errors import ConfigError
from tokenlearner.model import TokenLearnerViT
from tokenlearner.training.inflate import inflate_

IMAGE = ModelConfig(
    img_size=(8, 12),
    patch_size=(4, 4),
    embed_dim=10,
    depth=3,
    num_heads=2,
    mlp_dim=14,
    num_classes=3,
    class_names=("ant", "bee", "cat"),
    stem="conv",
    stem_dims=(6, 7),
    stem_strides=(2, 2),
    token_learner=TokenLearnerConfig(num_tokens=5, bottleneck_dim=9),
    tokenlearner_locs=(1,),
    default_loc=1,
)
VIDEO = dataclasses.replace(
    IMAGE,
    num_frames=6,
    tubelet_size=2,
    num_classes=5,
    class_names=("cat", "ant", "dog", "left", "right"),
    label_groups=(LabelGroup(name="object", num_classes=3), LabelGroup(name="motion", num_classes=2)),
)


def build(config: ModelConfig, seed: int) -> TokenLearnerViT:
    torch.manual_seed(seed)
    model = TokenLearnerViT(config).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
    return model


@pytest.mark.parametrize("stem", ["conv", "patch"])
def test_equal_frames_are_embedded_as_the_frame(stem: str) -> None:
    changes = {"stem": stem} if stem == "conv" else {"stem": stem, "stem_dims": (), "stem_strides": ()}
    image = build(dataclasses.replace(IMAGE, **changes), 0)
    video = build(dataclasses.replace(VIDEO, **changes), 1)
    inflate_(video, image)
    frame = torch.randn(2, 3, 8, 12)
    clip = frame.unsqueeze(1).expand(-1, 6, -1, -1, -1)
    still, moving = image.prefix(frame, 0).x, video.prefix(clip, 0).x
    assert moving.shape == (2, 3, 6, 10)
    assert torch.allclose(moving, still.expand(-1, 3, -1, -1), atol=1e-5)
    maps = image.tokenize(image.prefix(frame, 1)).token_maps
    assert torch.allclose(video.tokenize(video.prefix(clip, 1)).token_maps, maps.expand(-1, 3, -1, -1), atol=1e-4)


def test_classes_go_over_by_name_and_new_ones_keep_their_weights() -> None:
    image, video = build(IMAGE, 0), build(VIDEO, 1)
    before = video.head.weight.clone()
    kept = inflate_(video, image)
    assert torch.equal(video.head.weight[0], image.head.weight[2])
    assert torch.equal(video.head.weight[1], image.head.weight[0])
    assert torch.equal(video.head.weight[2:], before[2:])
    assert kept == ("head.weight", "head.bias")


def test_a_video_model_of_fewer_tokens_takes_the_first() -> None:
    image = build(IMAGE, 0)
    video = build(dataclasses.replace(VIDEO, token_learner=TokenLearnerConfig(num_tokens=2, bottleneck_dim=9)), 1)
    inflate_(video, image)
    frame = torch.randn(2, 3, 8, 12)
    clip = frame.unsqueeze(1).expand(-1, 6, -1, -1, -1)
    maps = image.tokenize(image.prefix(frame, 1), 2).token_maps
    assert torch.allclose(video.tokenize(video.prefix(clip, 1)).token_maps, maps.expand(-1, 3, -1, -1), atol=1e-4)


def test_an_image_model_of_another_shape_is_refused() -> None:
    other = build(dataclasses.replace(IMAGE, mlp_dim=15), 0)
    with pytest.raises(ConfigError, match=r"blocks.0.mlp.fc1.weight has the shape \(15, 10\) there and \(14, 10\)"):
        inflate_(build(VIDEO, 1), other)
