"""The modules alone, by hand and against a second route."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tokenlearner.config import TokenLearnerConfig
from tokenlearner.layers import (
    ConvStem,
    FixedPooling,
    TokenFuser,
    TokenLearnerV10,
    TokenLearnerV11,
    TubeletEmbed,
    build_token_learner,
    cells_hw,
    init_map_logits_,
)

BATCH, ROWS, COLUMNS, DIM, TOKENS = 2, 3, 5, 7, 4


def features(seed: int = 0) -> torch.Tensor:
    return torch.randn(BATCH, ROWS * COLUMNS, DIM, generator=torch.Generator().manual_seed(seed))


def test_v11_pools_the_features_before_normalisation_by_a_softmax_over_space() -> None:
    module = TokenLearnerV11(DIM, TOKENS, bottleneck_dim=6)
    x = features() * 3 + 1
    tokens, maps = module(x, (ROWS, COLUMNS))
    hidden = F.gelu(module.mlp.fc1(F.layer_norm(x, (DIM,), eps=1e-6)), approximate="tanh")
    logits = module.mlp.fc2(hidden)
    for b in range(BATCH):
        for s in range(TOKENS):
            weights = torch.exp(logits[b, :, s]) / torch.exp(logits[b, :, s]).sum()
            assert torch.allclose(maps[b, s], weights, atol=1e-6)
            assert torch.allclose(tokens[b, s], (weights[:, None] * x[b]).sum(0), atol=1e-5)


def test_v10_sees_neighbours_in_the_grid_that_it_is_given() -> None:
    module = TokenLearnerV10(DIM, TOKENS)
    x = features().requires_grad_()
    _, maps = module(x, (ROWS, COLUMNS))
    assert bool(((maps > 0) & (maps < 1)).all())
    maps[0, 0, 0].backward()
    assert x.grad is not None
    reached = x.grad[0].abs().sum(1).view(ROWS, COLUMNS) > 0
    assert bool(reached[:, :5].all())  # four 3x3 convolutions reach four patches away: all of 3 rows, 5 columns
    wide = features()[:1].repeat(1, 2, 1).requires_grad_()  # 3 rows, 10 columns
    _, maps = module(wide, (ROWS, 2 * COLUMNS))
    maps[0, 0, 0].backward()
    assert wide.grad is not None
    reached = wide.grad[0].abs().sum(1).view(ROWS, 2 * COLUMNS) > 0
    assert reached.any(0).tolist() == [True] * 5 + [False] * 5


def test_v10_mean_pooling_is_sum_pooling_over_the_number_of_patches() -> None:
    summed = TokenLearnerV10(DIM, TOKENS)
    mean = TokenLearnerV10(DIM, TOKENS, pooling="mean")
    mean.load_state_dict(summed.state_dict())
    x = features()
    tokens, maps = summed(x, (ROWS, COLUMNS))
    assert torch.allclose(tokens[1, 2], maps[1, 2] @ x[1], atol=1e-5)
    assert torch.allclose(mean(x, (ROWS, COLUMNS))[0], tokens / (ROWS * COLUMNS), atol=1e-6)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_first_tokens_are_the_same_whether_or_not_the_others_are_computed(version: str) -> None:
    config = TokenLearnerConfig(num_tokens=TOKENS, version=version, bottleneck_dim=6)  # type: ignore[arg-type]
    module = build_token_learner(config, DIM)
    all_tokens, all_maps = module(features(), (ROWS, COLUMNS))
    tokens, maps = module(features(), (ROWS, COLUMNS), 3)
    assert tokens.shape == (BATCH, 3, DIM)
    assert torch.allclose(tokens, all_tokens[:, :3], atol=1e-6)
    assert torch.allclose(maps, all_maps[:, :3], atol=1e-7)


def test_the_fuser_spreads_mixed_tokens_by_the_features_of_each_patch() -> None:
    fuser = TokenFuser(DIM, TOKENS, bottleneck_dim=6)
    tokens, original = torch.randn(BATCH, TOKENS, DIM), features()
    fused = fuser(tokens, original)
    normed = F.layer_norm(tokens, (DIM,), eps=1e-6)
    mixed = torch.stack(
        [sum(fuser.mix.weight[s, r] * normed[:, r] for r in range(TOKENS)) + fuser.mix.bias[s] for s in range(TOKENS)],
        1,
    )
    mixed = F.layer_norm(mixed, (DIM,), eps=1e-6)
    weights = torch.sigmoid(fuser.mlp(F.layer_norm(original, (DIM,), eps=1e-6)))
    assert torch.allclose(fused, torch.einsum("bsc,bhs->bhc", mixed, weights), atol=1e-5)


def test_a_fuser_without_norms_leaves_the_tokens_as_they_are_but_for_the_mixing() -> None:
    fuser = TokenFuser(DIM, TOKENS, bottleneck_dim=6, use_norm=False)
    assert isinstance(fuser.mix_norm1, nn.Identity)
    with torch.no_grad():
        fuser.mix.weight.copy_(torch.eye(TOKENS))
        fuser.mix.bias.zero_()
        fuser.mlp.fc2.weight.zero_()
        fuser.mlp.fc2.bias.zero_()  # every weight is sigmoid(0)
    tokens = torch.randn(BATCH, TOKENS, DIM)
    fused = fuser(tokens, features())
    assert torch.allclose(fused, (0.5 * tokens.sum(1, keepdim=True)).expand_as(fused), atol=1e-6)


def test_the_convolutional_stem_orders_patches_row_by_row() -> None:
    stem = ConvStem(3, (4, 6), (2, 2), DIM).eval()
    pixels = torch.randn(1, 3, 12, 20)
    whole = stem(pixels)
    assert whole.shape == (1, 15, DIM)
    changed = pixels.clone()
    changed[..., 8:, 16:] += 1  # the last patch, third row, fifth column
    moved = (stem(changed) - whole).abs().sum(-1)[0].view(3, 5) > 1e-6
    assert bool(moved[2, 4])
    assert not bool(moved[0].any())
    assert not bool(moved[:, :3].any())


def test_a_tubelet_sees_its_frames_and_its_patch_alone() -> None:
    embed = TubeletEmbed(3, 2, (4, 3), DIM)
    clip = torch.randn(1, 6, 3, 8, 9)
    whole = embed(clip)
    assert whole.shape == (1, 3, 6, DIM)
    changed = clip.clone()
    changed[:, 3, :, 4:, 3:6] += 1  # second tubelet, second row, second column
    moved = (embed(changed) - whole).abs().sum(-1)[0] > 1e-6
    expected = torch.zeros(3, 6, dtype=torch.bool)
    expected[1, 4] = True
    assert torch.equal(moved, expected)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_drawing_the_last_layer_anew_sets_its_deviation_and_clears_its_bias(version: str) -> None:
    config = TokenLearnerConfig(num_tokens=16, version=version)  # type: ignore[arg-type]
    module = build_token_learner(config, 32)
    init_map_logits_(module, 0.5)
    last = module.mlp.fc2 if isinstance(module, TokenLearnerV11) else module.convs[-1]
    assert isinstance(last, nn.Linear | nn.Conv2d)
    assert last.weight.std().item() == pytest.approx(0.5, rel=0.1)
    assert last.bias is None or not bool(last.bias.any())
    assert math.isfinite(last.weight.sum().item())


def test_average_pooling_takes_the_means_of_equal_cells() -> None:
    x = torch.randn(BATCH, 6 * 8, DIM)
    tokens, maps = FixedPooling(8, strided=False)(x, (6, 8))
    expected = F.adaptive_avg_pool2d(x.transpose(1, 2).unflatten(2, (6, 8)), (2, 4)).flatten(2).transpose(1, 2)
    assert torch.allclose(tokens, expected, atol=1e-6)
    assert maps.shape == (BATCH, 8, 48)


def test_cells_that_do_not_divide_the_grid_share_its_patches() -> None:
    _, maps = FixedPooling(8, strided=False)(features(), (ROWS, COLUMNS))
    assert torch.allclose(maps.sum(2), torch.ones(BATCH, 8))
    assert torch.allclose(maps.sum(1), torch.full((BATCH, ROWS * COLUMNS), 8 / (ROWS * COLUMNS)))


def test_strided_pooling_takes_the_patch_in_the_middle_of_each_cell() -> None:
    x = torch.arange(6 * 8.0).view(1, 48, 1)
    tokens, _ = FixedPooling(8, strided=True)(x, (6, 8))
    assert tokens.flatten().tolist() == [9.0, 11.0, 13.0, 15.0, 33.0, 35.0, 37.0, 39.0]


def test_fewer_tokens_of_fixed_pooling_cut_the_grid_anew() -> None:
    x = features()
    for k in (1, 2, 4):
        tokens, _ = FixedPooling(8, strided=False)(x, (ROWS, COLUMNS), k)
        assert torch.allclose(tokens.mean(1), x.mean(1), atol=1e-6)


@pytest.mark.parametrize(
    ("cells", "grid_hw", "shape"),
    [(8, (14, 14), (2, 4)), (8, (20, 10), (4, 2)), (16, (9, 9), (4, 4)), (7, (9, 9), (1, 7))],
)
def test_cells_are_as_square_as_their_number_allows(
    cells: int, grid_hw: tuple[int, int], shape: tuple[int, int]
) -> None:
    assert cells_hw(cells, grid_hw) in (shape, shape[::-1] if grid_hw[0] == grid_hw[1] else shape)


def test_a_convolutional_stem_of_clips_projects_the_frames_of_a_tubelet_together() -> None:
    torch.manual_seed(0)
    stem = ConvStem(3, (4, 6), (2, 2), DIM, tubelet_size=2).eval()
    clip = torch.randn(BATCH, 4, 3, 8, 12)
    embedded = stem(clip)
    assert embedded.shape == (BATCH, 2, 6, DIM)
    frames = stem.convs(clip.flatten(0, 1)).unflatten(0, (BATCH, 4))
    weight = stem.proj.weight[:, :, :, 0, 0]
    expected = torch.einsum("btfchw,dcf->btdhw", frames.unflatten(1, (2, 2)), weight) + stem.proj.bias.view(
        1, 1, -1, 1, 1
    )
    assert torch.allclose(embedded, expected.flatten(3).transpose(2, 3), atol=1e-5)
