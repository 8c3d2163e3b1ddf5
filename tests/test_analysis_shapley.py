"""Shapley values against their definition: the mean gain over every order in which tokens can join."""

import dataclasses
import itertools
import json
import math
import threading

import numpy as np
import pytest
import torch

from tests.engine_cases import FUSED, TINY, V10, VIDEO, pictures, tiny_model, write_clip, write_photo
from tests.test_engine import CPU, HALF, TIMES
from tokenlearner.analysis.shapley import (
    BASELINES,
    EXACT_LIMIT,
    _gains,
    _masks_of,
    draw_orders,
    exact_weights,
    token_values,
)
from tokenlearner.config import TokenLearnerConfig
from tokenlearner.engine import AnalysisSettings, Engine
from tokenlearner.engine.batching import Batcher
from tokenlearner.errors import Cancelled, ConfigError, FeaturesGone

CLASS = 3
V10_MEAN = dataclasses.replace(V10, token_learner=dataclasses.replace(V10.token_learner, pooling="mean"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("media") / "disc.mp4", pictures(11, (46, 80)), TIMES)


@pytest.fixture(scope="module")
def engine():
    return Engine(tiny_model(), device=CPU)


@pytest.fixture(scope="module")
def found(engine, clip):
    return engine.analyze(clip, AnalysisSettings(num_tokens=4))


def by_permutations(value, players):
    """The definition, with no shortcut."""
    total = np.zeros((players, *np.shape(value(frozenset()))))
    for order in itertools.permutations(range(players)):
        for place, token in enumerate(order):
            before = frozenset(order[:place])
            total[token] += value(before | {token}) - value(before)
    return total / math.factorial(players)


def blank_answer(engine, found):
    """The network's answer to a picture in the mean colour, by the whole network."""
    colour = np.array([round(255 * value) for value in engine.config.mean], dtype=np.uint8)
    frames = (engine.config.num_frames,) if engine.config.num_frames else ()
    picture = np.broadcast_to(colour, (1, *frames, *found.geometry.input_hw, 3)).copy()
    return engine.answer_inputs(picture, loc=found.loc, num_tokens=found.num_tokens)


def probability(logits):
    return torch.from_numpy(np.asarray(logits, dtype=np.float64)).softmax(dim=1).numpy()[:, CLASS]


def test_weights_give_the_definition_on_a_game_of_numbers():
    rng = np.random.default_rng(0)
    for players in (1, 2, 5):
        game = rng.normal(size=1 << players)
        expected = by_permutations(lambda s, game=game: game[sum(1 << t for t in s)], players)
        np.testing.assert_allclose(exact_weights(players) @ game, expected, atol=1e-12)


@pytest.mark.parametrize("unit", ["probability", "logit"])
def test_dropped_tokens_are_those_of_a_rerun_without_them(engine, found, unit):
    def value(members):
        if members:
            logits = engine.solo(found, sorted(members)).logits
        else:
            logits = np.repeat(blank_answer(engine, found), 11, axis=0)
        return probability(logits) if unit == "probability" else logits[:, CLASS].astype(np.float64)

    cache = {}
    expected = by_permutations(lambda s: cache.setdefault(s, value(s)), 4).T
    values = token_values(engine, found, CLASS)
    assert values.exact
    np.testing.assert_allclose(getattr(values, unit), expected, atol=1e-2 if unit == "logit" else 2e-3)
    assert np.abs(expected).max() > 0.02
    np.testing.assert_allclose(values.all_probability, probability(engine.rerun(found).logits), atol=1e-5)


@pytest.mark.parametrize("baseline", ["mean", "blank"])
def test_replaced_tokens_are_those_that_the_suffix_gets(engine, found, baseline):
    held = engine.hold(found)
    stand_in = held.tokens.mean(dim=0, keepdim=True) if baseline == "mean" else held.blank()

    def value(members):
        tokens = stand_in.expand_as(held.tokens).clone()
        for token in members:
            tokens[:, :, token] = held.tokens[:, :, token]
        return probability(held.answer(tokens))

    values = token_values(engine, found, CLASS, baseline=baseline)
    np.testing.assert_allclose(values.probability, by_permutations(value, 4).T, atol=1e-6)
    assert values.baseline_text == BASELINES[baseline]
    if baseline == "blank":
        np.testing.assert_allclose(values.none_probability, probability(blank_answer(engine, found))[0], atol=2e-3)


@pytest.mark.parametrize("config", [V10, VIDEO], ids=["v1.0", "video"])
@pytest.mark.parametrize("baseline", list(BASELINES))
@pytest.mark.parametrize("exact", [True, False])
def test_values_share_out_the_whole_difference(clip, config, baseline, exact):
    engine = Engine(tiny_model(config), device=CPU)
    found = engine.analyze(clip, AnalysisSettings(num_tokens=5))
    values = token_values(engine, found, CLASS, baseline=baseline, exact=exact, orders=6)
    assert values.probability.shape == (3 if config is VIDEO else 11, 5)
    assert values.gap < 1e-9
    np.testing.assert_allclose(values.logit.sum(axis=1), values.all_logit - values.none_logit, atol=1e-9)
    np.testing.assert_allclose(values.all_probability, probability(engine.rerun(found).logits), atol=1e-5)
    np.testing.assert_allclose(values.mean_probability, values.probability.mean(axis=0))


def test_the_probability_is_within_the_classes_own_question(engine, found):
    grouped = dataclasses.replace(found, label_groups={"what": slice(0, 2), "how": slice(2, 7)})
    values = token_values(engine, grouped, CLASS)
    logits = torch.from_numpy(engine.rerun(found).logits[:, 2:].copy())
    np.testing.assert_allclose(values.all_probability, logits.softmax(dim=1)[:, 1], atol=1e-5)


def test_drawn_orders_come_near_the_exact_values_within_their_error(engine, found):
    exact = token_values(engine, found, CLASS)
    drawn = token_values(engine, found, CLASS, exact=False, orders=400, seed=1)
    assert not drawn.exact
    assert drawn.orders == 400
    assert drawn.coalitions == 16
    off = np.abs(drawn.probability - exact.probability)
    assert (off <= 4 * drawn.probability_error + 1e-9).all()
    assert (np.abs(drawn.mean_probability - exact.mean_probability) <= 4 * drawn.mean_probability_error + 1e-9).all()
    few = token_values(engine, found, CLASS, exact=False, orders=4, seed=1)
    assert few.probability_error.mean() > 3 * drawn.probability_error.mean()


def test_the_standard_error_is_the_spread_over_seeds(engine, found):
    draws = [token_values(engine, found, CLASS, exact=False, orders=12, seed=seed, rows=[5]) for seed in range(60)]
    spread = np.std([draw.probability[0] for draw in draws], axis=0)
    stated = np.sqrt(np.mean([draw.probability_error[0] ** 2 for draw in draws], axis=0))
    np.testing.assert_allclose(stated, spread, rtol=0.3)


def test_each_order_goes_with_its_reverse():
    orders = draw_orders(7, 10, seed=3)
    assert np.array_equal(orders[5:], orders[:5, ::-1])
    assert (np.sort(orders, axis=1) == np.arange(7)).all()
    assert len({tuple(order) for order in orders}) == 10


@pytest.mark.parametrize("tokens", [12, 63, 64, 130])
def test_coalitions_along_the_orders_are_told_apart_however_many_tokens_there_are(tokens):
    orders = draw_orders(tokens, 4, seed=1)
    masks = _masks_of(orders)
    assert masks == sorted(set(masks))
    assert (masks[0], masks[-1]) == (0, 2**tokens - 1)
    values = np.array([[[float(mask.bit_count()) for mask in masks]]])  # every token adds 1, whoever is there
    np.testing.assert_array_equal(_gains(orders, masks, values), np.ones((1, 4, 1, tokens)))


def test_a_module_of_64_tokens_is_sampled(tmp_path):
    config = dataclasses.replace(TINY, token_learner=TokenLearnerConfig(num_tokens=64, bottleneck_dim=10))
    engine = Engine(tiny_model(config), device=CPU)
    values = token_values(engine, engine.analyze(write_photo(tmp_path / "disc.png")), CLASS, orders=4)
    assert values.probability.shape == (1, 64)
    assert values.gap < 1e-6


def test_more_tokens_than_the_limit_are_sampled_unless_asked(engine, found, monkeypatch):
    monkeypatch.setattr("tokenlearner.analysis.shapley.EXACT_LIMIT", 3)
    assert not token_values(engine, found, CLASS, rows=[0]).exact
    assert token_values(engine, found, CLASS, rows=[0], exact=True).exact
    assert 8 <= EXACT_LIMIT <= 10


def test_muted_tokens_take_part_and_rows_can_be_chosen(engine, found):
    whole = token_values(engine, found, CLASS)
    some = token_values(engine, engine.rerun(found, muted=(1,)), CLASS, rows=[9, 2])
    assert some.rows.tolist() == [2, 9]
    assert some.timestamps_s.tolist() == found.logits_timestamps_s[[2, 9]].tolist()
    np.testing.assert_allclose(some.probability, whole.probability[[2, 9]], atol=1e-6)
    mean = token_values(engine, found, CLASS, baseline="mean")
    few = token_values(engine, found, CLASS, baseline="mean", rows=[4])
    np.testing.assert_allclose(few.probability[0], mean.probability[4], atol=1e-6)  # the mean is over the whole clip


def test_small_batches_give_the_same_and_never_hold_more(engine, found, monkeypatch):
    whole = token_values(engine, found, CLASS)
    sizes, original = [], Batcher.run

    def watched(self, items, work):
        self._size = 7
        return original(self, items, lambda part: (sizes.append(len(part)), work(part))[1])

    monkeypatch.setattr(Batcher, "run", watched)
    small = token_values(engine, found, CLASS)
    assert max(sizes) == 7
    np.testing.assert_allclose(small.probability, whole.probability, atol=1e-6)


def test_progress_ends_at_the_total_and_cancel_stops_within_a_batch(engine, found, monkeypatch):
    told = []
    token_values(engine, found, CLASS, progress=lambda done, total: told.append((done, total)))
    tokens = 11 * (4 + 4 * 1 + 6 * 2 + 4 * 3 + 1 * 4)  # the start is that of a whole picture's four
    assert told[-1] == (tokens, tokens)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    cancel, calls = threading.Event(), []

    def stop(done, total):
        calls.append(done)
        cancel.set()

    with pytest.raises(Cancelled):
        token_values(engine, found, CLASS, progress=stop, cancel=cancel)
    assert len(calls) == 1


def test_threads_get_their_own_values(engine, found):
    alone = [token_values(engine, found, label).probability for label in (1, 4)]
    results = [None, None]

    def work(i):
        results[i] = token_values(engine, found, (1, 4)[i]).probability

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(results, alone, atol=1e-6)


def test_the_summary_is_plain_json_and_arrays_are_read_only(engine, found):
    exact = token_values(engine, found, CLASS)
    summary = json.loads(json.dumps(exact.summary(), allow_nan=False))
    assert summary["mean_probability_standard_error"] is None
    assert summary["largest_gap"] < 1e-4
    with pytest.raises(ValueError, match="read-only"):
        exact.probability[0] = 0
    drawn = token_values(engine, found, CLASS, exact=False)
    assert len(json.loads(json.dumps(drawn.summary()))["mean_probability_standard_error"]) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_index": 7}, "There is no class 7: there are classes 0 to 6"),
        ({"rows": [11]}, "rows 0 to 10"),
        ({"rows": []}, "at least one"),
        ({"orders": 5}, "even and at least 4, not 5"),
    ],
)
def test_what_cannot_be_asked_is_refused(engine, found, options, message):
    with pytest.raises(ConfigError, match=message):
        token_values(engine, found, **{"class_index": CLASS, **options})


def test_photos_fused_models_and_plain_networks(engine, found, tmp_path):
    photo = engine.analyze(write_photo(tmp_path / "disc.png", (60, 40)))
    assert token_values(engine, photo, CLASS).probability.shape == (1, 6)
    with pytest.raises(ConfigError, match="no mean over time"):
        token_values(engine, photo, CLASS, baseline="mean")
    with pytest.raises(ConfigError, match="plain network"):
        token_values(engine, engine.rerun(found, loc=None), CLASS)
    fused = Engine(tiny_model(FUSED), device=CPU)
    with pytest.raises(ConfigError, match="without TokenFuser"):
        token_values(fused, fused.analyze(write_photo(tmp_path / "fused.png")), CLASS)
    with pytest.raises(ConfigError, match="other weights"):
        token_values(Engine(tiny_model(seed=1), device=CPU), found, CLASS)
    forgetful = Engine(tiny_model(), device=CPU)
    gone = forgetful.analyze(write_photo(tmp_path / "gone.png"))
    forgetful.features.clear()
    with pytest.raises(FeaturesGone):
        token_values(forgetful, gone, CLASS)


def test_a_solo_is_a_rerun_with_the_others_muted(engine, found):
    solo = engine.solo(found, (2, 0))
    assert solo.muted == (1, 3)
    np.testing.assert_allclose(solo.logits, engine.rerun(found, muted=(1, 3)).logits)
    with pytest.raises(ConfigError, match="no token 4"):
        engine.solo(found, (4,))
    with pytest.raises(ConfigError, match="Leave at least one"):
        engine.solo(found, ())


@pytest.mark.parametrize("config", [V10, V10_MEAN, VIDEO], ids=["v1.0", "v1.0 mean", "video"])
def test_held_tokens_answer_as_the_analysis_did(clip, config):
    engine = Engine(tiny_model(config), device=CPU)
    found = engine.analyze(clip, AnalysisSettings(loc=3))
    held = engine.hold(found, loc=1, num_tokens=2)
    again = engine.rerun(found, loc=1, num_tokens=2)
    np.testing.assert_allclose(held.answer(held.tokens), again.logits, atol=1e-5)
    np.testing.assert_allclose(held.answer_with_maps(again.token_maps), again.logits, atol=1e-4)
    np.testing.assert_allclose(
        held.answer(held.tokens), engine.analyze(clip, AnalysisSettings(loc=1, num_tokens=2)).logits, **HALF
    )
    with pytest.raises(ValueError, match="do not fit"):
        held.answer_with_maps(again.token_maps[:, :, :2])
