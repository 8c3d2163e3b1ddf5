"""Held tokens of networks with class or register tokens: these stay while the module's tokens are dropped or exchanged.

The second routes are the engine's own reruns without some tokens, and the blocks of timm's network called by hand.
"""

import itertools

import numpy as np
import pytest
import torch

from tests.engine_cases import pictures, write_clip
from tests.test_analysis_shapley import by_permutations, probability
from tests.test_engine import CPU, TIMES
from tests.timm_cases import tiny_timm
from tokenlearner.analysis.doubt import doubt_maps
from tokenlearner.analysis.shapley import BASELINES, BESIDE, token_values
from tokenlearner.engine import AnalysisSettings, Engine

CLASS = 3
KINDS = ("class token", "registers", "average beside a class token", "attention pooling of all", "distilled")


@pytest.fixture(scope="module", params=KINDS)
def engine(request):
    return Engine(tiny_timm(request.param), device=CPU)


@pytest.fixture(scope="module")
def found(engine, tmp_path_factory):
    clip = write_clip(tmp_path_factory.mktemp("media") / "disc.mp4", pictures(7, (46, 80)), TIMES[:7])
    return engine.analyze(clip, AnalysisSettings(loc=1, num_tokens=3))


def by_hand(engine, found, tokens, rows):
    """Logits of tokens beside the class and register tokens of some rows, by the network's own parts."""
    held = engine.hold(found)
    model = engine._network.model
    prefix = held._features.x[rows, 0, : engine.config.num_prefix_tokens].float()
    x = torch.cat([prefix, tokens[:, 0]], dim=1)
    with torch.inference_mode():
        for block in list(model.backbone.blocks)[held.loc :]:
            x = block(x)
        return model.backbone.forward_head(model.backbone.norm(x)).numpy()


def test_the_networks_own_tokens_answer_as_the_analysis_did(engine, found):
    held = engine.hold(found)
    again = engine.rerun(found)
    np.testing.assert_allclose(held.answer(held.tokens), again.logits, atol=1e-5)
    np.testing.assert_allclose(held.answer_with_maps(again.token_maps), again.logits, atol=1e-4)


def test_other_tokens_stand_beside_the_class_token_of_their_own_row(engine, found):
    held = engine.hold(found)
    rows = torch.tensor([4, 0, 4, 2])
    tokens = torch.randn(4, 1, 2, held.tokens.shape[-1], generator=torch.Generator().manual_seed(1))
    parts = list(held.answers(4, 2, lambda items: tokens[items], rows=rows))
    expected = by_hand(engine, found, tokens, rows)
    np.testing.assert_allclose(np.concatenate(parts), expected, atol=1e-5)
    assert np.abs(expected - by_hand(engine, found, tokens, torch.zeros(4, dtype=torch.int64))).max() > 1e-3


def test_whose_class_token_is_meant_has_to_be_said(engine, found):
    held = engine.hold(found)
    with pytest.raises(ValueError, match=r"of 2 items .* which of the 7 rows"):
        held.answer(held.tokens[:2])


@pytest.mark.parametrize("rows", [None, (5, 1)])
def test_values_of_dropped_tokens_are_those_of_reruns_without_them(engine, found, rows):
    chosen = list(range(7)) if rows is None else sorted(rows)
    held = engine.hold(found)
    start = by_hand(engine, found, held.blank().expand(len(chosen), -1, -1, -1), torch.tensor(chosen))

    def value(members):
        return probability(engine.solo(found, sorted(members)).logits[chosen] if members else start)

    cache = {}
    expected = by_permutations(lambda members: cache.setdefault(members, value(members)), 3).T
    values = token_values(engine, found, CLASS, rows=rows)
    np.testing.assert_allclose(values.probability, expected, atol=1e-5)
    assert values.gap < 1e-9
    assert values.baseline_text == f"{BASELINES['dropped']} {BESIDE}"


@pytest.mark.parametrize("baseline", ["mean", "blank"])
def test_values_of_replaced_tokens_are_those_that_the_blocks_give(engine, found, baseline):
    held = engine.hold(found)
    stand_in = held.tokens.mean(dim=0, keepdim=True) if baseline == "mean" else held.blank()

    def value(members):
        tokens = stand_in.expand_as(held.tokens).clone()
        tokens[:, :, list(members)] = held.tokens[:, :, list(members)]
        return probability(by_hand(engine, found, tokens, torch.arange(7)))

    cache = {frozenset(some): value(some) for n in range(4) for some in itertools.combinations(range(3), n)}
    values = token_values(engine, found, CLASS, baseline=baseline)
    np.testing.assert_allclose(values.probability, by_permutations(cache.__getitem__, 3).T, atol=1e-5)


def test_worthless_maps_pool_patches_and_leave_the_class_token(engine, found):
    held = engine.hold(found)
    patches = held._features.x[:, :, engine.config.num_prefix_tokens :].float()
    uniform = patches.mean(dim=2, keepdim=True).expand(-1, -1, 3, -1)
    expected = by_hand(engine, found, uniform, torch.arange(7))
    compared = next(one for one in doubt_maps(engine, found, CLASS) if one.rival == "uniform")
    own = probability(engine.rerun(found).logits)
    assert compared.probability_before == pytest.approx(own.mean(), abs=1e-5)
    assert compared.probability == pytest.approx(probability(expected).mean(), abs=1e-4)
