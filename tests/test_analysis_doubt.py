"""Doubt: what is compared is what it says, and the sentence follows from the numbers."""

import dataclasses
import json
import threading

import numpy as np
import pytest
import torch

from tests.engine_cases import V10, VIDEO, pictures, tiny_model, write_clip, write_photo
from tests.test_engine import CPU, HALF
from tokenlearner.agreement import Agreement
from tokenlearner.analysis.deletion import DeletionCurve, delete_most_attended
from tokenlearner.analysis.doubt import (
    Comparison,
    analyze_random,
    doubt_maps,
    doubt_weights,
    map_similarity,
    other_moments,
    sentence,
    shuffled_maps,
    uniform_maps,
)
from tokenlearner.engine import AnalysisSettings, Engine
from tokenlearner.errors import Cancelled, ConfigError
from tokenlearner.media import Sampling, open_media
from tokenlearner.weights import random_twin

CLASS = 2


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("media") / "disc.mp4", pictures(9, (46, 80)))


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def engine(model):
    return Engine(model, device=CPU)


@pytest.fixture(scope="module")
def found(engine, clip):
    return engine.analyze(clip, AnalysisSettings(num_tokens=4))


def inputs(found, path):
    with open_media(path, found.settings.sampling) as reader:
        return np.stack([found.geometry.to_input(frame.rgb) for frame in reader])


def pooled_by(loaded, rgb, maps, loc=1):
    """The bare network with given maps [frames, tokens, patches] in place of its own."""
    net = loaded.model
    with torch.inference_mode():
        features = net.prefix(net.normalize(torch.from_numpy(rgb)), loc)
        tokens = net.tokenize(features, maps.shape[1])
        pooled = torch.einsum("fkp,ftpd->ftkd", torch.from_numpy(maps.copy()), features.x)
        return net.suffix(dataclasses.replace(tokens, tokens=pooled)).logits.numpy()


@pytest.mark.parametrize("config", [None, V10], ids=["v1.1", "v1.0"])
def test_rival_maps_pool_the_same_features_through_the_same_blocks(clip, config, model):
    loaded = model if config is None else tiny_model(config)
    engine = Engine(loaded, device=CPU)
    found = engine.analyze(clip, AnalysisSettings(num_tokens=4))
    compared = {one.rival: one for one in doubt_maps(engine, found, CLASS, seed=5)}
    assert list(compared) == ["uniform", "shuffled", "other moment"]
    rgb = inputs(found, clip)
    own = engine.rerun(found)
    probs = own.probs
    for one in compared.values():
        expected = pooled_by(loaded, rgb, one.token_maps.reshape(9, 4, 15))
        np.testing.assert_allclose(one.logits, expected, rtol=1e-2, atol=2e-2)
        after = torch.from_numpy(one.logits.copy()).softmax(dim=1).numpy()
        assert one.agreement.top1 == (after.argmax(1) == probs.argmax(1)).mean()
        assert one.agreement.total_variation == pytest.approx(np.abs(after - probs).sum(1).mean() / 2, abs=1e-5)
        assert one.probability == pytest.approx(after[:, CLASS].mean(), abs=1e-5)
        assert one.probability_before == pytest.approx(probs[:, CLASS].mean(), abs=1e-5)
    assert compared["uniform"].map_similarity is None
    assert abs(compared["shuffled"].map_similarity) < 0.5
    assert any(np.abs(one.logits - own.logits).max() > 0.05 for one in compared.values())


def test_uniform_maps_keep_each_maps_sum():
    maps = np.random.default_rng(0).random((2, 3, 4, 5), dtype=np.float32)
    even = uniform_maps(maps)
    np.testing.assert_allclose(even.sum(axis=(2, 3)), maps.sum(axis=(2, 3)), rtol=1e-5)
    assert np.ptp(even, axis=(2, 3)).max() == 0


def test_shuffled_maps_keep_their_values_and_lose_their_places():
    maps = np.random.default_rng(0).random((2, 3, 4, 5), dtype=np.float32)
    moved = shuffled_maps(maps, seed=1)
    came_from = set()
    for before, after in zip(maps.reshape(6, 20), moved.reshape(6, 20), strict=True):
        assert np.array_equal(np.sort(before), np.sort(after))
        came_from.add(tuple(int(np.flatnonzero(before == value)[0]) for value in after))
    assert len(came_from) == 6  # each map is moved in its own way
    assert np.array_equal(moved, shuffled_maps(maps, seed=1))
    assert not np.array_equal(moved, shuffled_maps(maps, seed=2))


@pytest.mark.parametrize("steps", [2, 3, 8])
def test_no_step_keeps_its_own_map(steps):
    maps = np.arange(steps, dtype=np.float32).reshape(-1, 1, 1, 1)
    moved = other_moments(maps).ravel()
    assert sorted(moved) == list(range(steps))
    assert (moved != np.arange(steps)).all()


def test_similarity_finds_the_same_maps_under_other_numbers():
    maps = np.random.default_rng(0).random((5, 3, 4, 6)).astype(np.float32)
    assert map_similarity(maps, maps[:, [2, 0, 1]]) == pytest.approx(1)
    assert map_similarity(maps, 3 * maps + 1) == pytest.approx(1)
    assert map_similarity(maps, np.ones_like(maps)) is None
    other = np.random.default_rng(1).random((5, 3, 4, 6)).astype(np.float32)
    pairs = np.array(
        [[np.mean([np.corrcoef(maps[t, i].ravel(), other[t, j].ravel())[0, 1] for t in range(5)]) for j in range(3)]
         for i in range(3)]
    )  # fmt: skip
    assert map_similarity(maps, other) == pytest.approx(pairs.max(axis=1).mean(), abs=1e-5)


def test_random_weights_see_the_same_frames(model, engine, found, clip):
    random = analyze_random(model, engine, clip, found, seed=3)
    twin = Engine(random_twin(model, 3), device=CPU).analyze(clip, AnalysisSettings(num_tokens=4))
    np.testing.assert_allclose(random.logits, twin.logits, atol=1e-6)
    assert not random.provenance.trained
    one = doubt_weights(found, random, CLASS)
    assert one.rival == "random weights"
    assert one.agreement.top1 == (random.logits.argmax(1) == found.logits.argmax(1)).mean()
    assert one.probability == pytest.approx(random.probs[:, CLASS].mean(), abs=1e-6)
    with pytest.raises(ConfigError, match="same frames"):
        doubt_weights(found, engine.rerun(found, num_tokens=2), CLASS)
    with pytest.raises(ConfigError, match="plain network"):
        doubt_weights(engine.rerun(found, loc=None), random, CLASS)
    with pytest.raises(ConfigError, match="no class 7"):
        doubt_weights(found, random, 7)


def test_a_photo_has_no_other_moment_and_a_clip_model_is_asked_too(engine, clip, tmp_path):
    photo = engine.analyze(write_photo(tmp_path / "disc.png", (60, 40)))
    assert [one.rival for one in doubt_maps(engine, photo, CLASS)] == ["uniform", "shuffled"]
    moving = Engine(tiny_model(VIDEO), device=CPU)
    found = moving.analyze(clip)
    assert found.token_maps.shape[0] == 5  # nine frames, five tubelets, three clips
    for one in doubt_maps(moving, found, CLASS):
        assert one.logits.shape == (3, 7)
        assert one.token_maps.shape == found.token_maps.shape


def test_doubt_can_be_stopped(model, engine, found, clip):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        doubt_maps(engine, found, CLASS, cancel=cancel)
    with pytest.raises(Cancelled):
        analyze_random(model, engine, clip, found, cancel=cancel)
    with pytest.raises(Cancelled):
        delete_most_attended(engine, clip, found, CLASS, cancel=cancel)


def painted(rgb, order, count, grid, colour):
    """Cell by cell, with loops."""
    out = rgb.copy()
    height, width = rgb.shape[0] // grid[0], rgb.shape[1] // grid[1]
    for patch in order[:count]:
        row, column = divmod(int(patch), grid[1])
        out[row * height : (row + 1) * height, column * width : (column + 1) * width] = colour
    return out


def test_the_deletion_curve_is_the_bare_network_on_painted_pictures(model, engine, found, clip):
    told = []
    curve = delete_most_attended(
        engine, clip, found, CLASS, max_rows=4, draws=2, progress=lambda done, total: told.append((done, total))
    )
    assert curve.rows.tolist() == [0, 3, 5, 8]
    rgb = inputs(found, clip)[curve.rows]
    colour = [round(255 * value) for value in engine.config.mean]
    weights = found.token_maps.mean(axis=1)[curve.rows].reshape(4, 15)
    for fraction, height in zip(curve.fractions, curve.curves["attended"], strict=True):
        cut = [
            painted(one, np.argsort(-order), round(fraction * 15), (3, 5), colour)
            for one, order in zip(rgb, weights, strict=True)
        ]
        with torch.inference_mode():
            net = model.model
            logits = net(net.normalize(torch.from_numpy(np.stack(cut))), loc=1, num_tokens=4).logits
        assert height == pytest.approx(float(logits.softmax(dim=1)[:, CLASS].mean()), abs=1e-5)
    assert curve.random.shape == (2, 6)
    assert np.abs(curve.random[0] - curve.random[1]).max() > 1e-4
    assert curve.random[0, 0] == curve.curves["centre"][0] == curve.curves["attended"][0]
    heights = curve.curves["attended"]
    by_hand = sum((heights[i] + heights[i + 1]) / 2 * 0.1 for i in range(5)) / 0.5
    assert curve.area("attended") == pytest.approx(by_hand)
    assert [one for one in told if one[0]] == [(i, 21) for i in range(1, 22)]  # and (0, 21) while the clip is read
    assert json.loads(json.dumps(curve.summary(), allow_nan=False))["areas"]["attended"] == pytest.approx(by_hand)


def test_maps_from_elsewhere_give_an_order_of_their_own(engine, found, clip):
    curve = delete_most_attended(engine, clip, found, CLASS, others={"same": found.token_maps * 2}, draws=0, max_rows=2)
    np.testing.assert_allclose(curve.curves["same"], curve.curves["attended"])
    with pytest.raises(ConfigError, match='"odd" are not on the steps'):
        delete_most_attended(engine, clip, found, CLASS, others={"odd": found.token_maps[1:]})


def test_a_clip_model_loses_patches_tubelet_by_tubelet(clip):
    loaded = tiny_model(VIDEO)
    engine = Engine(loaded, device=CPU)
    found = engine.analyze(clip)
    curve = delete_most_attended(engine, clip, found, CLASS, draws=1)
    rgb = inputs(found, clip)
    rgb = np.concatenate([rgb, np.repeat(rgb[-1:], 3, axis=0)])
    colour = [round(255 * value) for value in engine.config.mean]
    cut = []
    for i, frame in enumerate(rgb):
        weights = found.token_maps[min(i // 2, 4)].mean(axis=0).ravel()
        cut.append(painted(frame, np.argsort(-weights), round(0.3 * 15), (3, 5), colour))
    with torch.inference_mode():
        net = loaded.model
        logits = net(net.normalize(torch.from_numpy(np.stack(cut))).unflatten(0, (3, 4))).logits
    assert curve.curves["attended"][3] == pytest.approx(float(logits.softmax(dim=1)[:, CLASS].mean()), abs=1e-5)


def test_deletion_refuses_another_file_and_what_has_no_maps(engine, found, clip, tmp_path):
    other = write_clip(tmp_path / "other.mp4", pictures(9, (46, 80), seed=1))
    with pytest.raises(ConfigError, match="no longer the file"):
        delete_most_attended(engine, other, found, CLASS)
    with pytest.raises(ConfigError, match="no maps to delete by"):
        delete_most_attended(engine, clip, engine.rerun(found, loc=None), CLASS)
    with pytest.raises(ConfigError, match="no class -1"):
        delete_most_attended(engine, clip, found, -1)


def test_deletion_takes_the_frames_that_were_sampled(engine, clip):
    part = engine.analyze(clip, AnalysisSettings(sampling=Sampling(start_s=0.35, max_frames=3)))
    curve = delete_most_attended(engine, clip, part, CLASS, draws=0)
    assert curve.timestamps_s.tolist() == part.timestamps_s.tolist()
    assert curve.curves["attended"][0] == pytest.approx(part.probs[:, CLASS].mean(), abs=1e-5)


def test_answers_to_inputs_are_those_of_the_analysis(engine, found, clip):
    logits = engine.answer_inputs(inputs(found, clip), loc=1, num_tokens=4)
    np.testing.assert_allclose(logits, found.logits, atol=1e-5)
    np.testing.assert_allclose(logits, engine.rerun(found).logits, **HALF)


# Sentences, from numbers made by hand.


def comparison(rival, top1, moved, rows=50, similarity=0.1):
    return Comparison(
        rival=rival,
        token_maps=np.zeros((1, 1, 1, 1), dtype=np.float32),
        logits=np.zeros((1, 2), dtype=np.float32),
        agreement=Agreement(top1, moved, rows),
        class_index=0,
        probability_before=0.8,
        probability=0.7,
        map_similarity=similarity,
    )


def curves(own, centre, random, whole=0.8, **others):
    def flat(height):
        return np.array([whole, *[height] * 5])

    return DeletionCurve(
        class_index=0,
        fractions=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
        curves={"attended": flat(own), "centre": flat(centre), **{k: flat(v) for k, v in others.items()}},
        random=np.stack([flat(height) for height in random]),
        rows=np.arange(3),
        timestamps_s=np.arange(3.0),
    )


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([("uniform", 0.98, 0.03), ("shuffled", 0.95, 0.1)], "hardly matters where the tokens look"),
        ([("uniform", 0.94, 0.03), ("shuffled", 1.0, 0.01)], "depends a little, and no more"),
        ([("uniform", 0.98, 0.11)], "depends a little, and no more"),
        ([("uniform", 0.5, 0.4), ("shuffled", 0.3, 0.6)], "does depend on where the tokens look"),
        ([("uniform", 1.0, 0.02), ("other moment", 0.3, 0.6)], "matters in part: with even maps the prediction stays"),
    ],
)
def test_the_verdict_on_maps_follows_from_how_much_changes(found, verdict):
    said = sentence([comparison(*one) for one in found])
    assert verdict in said
    assert f"{100 * found[0][1]:.0f} % of 50 answers stay and {100 * found[0][2]:.0f} % of the probability" in said


@pytest.mark.parametrize(
    ("curve", "verdict"),
    [
        (curves(0.2, 0.4, (0.5, 0.6)), "look where it matters for the prediction."),
        (curves(0.5, 0.3, (0.6, 0.7)), "no better than simply deleting the middle."),
        (curves(0.55, 0.6, (0.5, 0.6)), "no more than chance, so this shows nothing"),
        (curves(0.49, 0.6, (0.5, 0.6)), "no more than chance"),
        (curves(0.7, 0.6, (0.5, 0.6)), "look most where it matters less"),
        (curves(0.2, 0.4, (0.5, 0.6), twins=0.21), "no better than by the maps of twins."),
        (curves(0.0, 0.0, (0.0, 0.0), whole=0.03), "only 3 % to begin with"),
    ],
)
def test_the_verdict_on_deletion_follows_from_the_areas(curve, verdict):
    said = sentence([], curve, class_name="cat")
    assert verdict in said
    assert "cat" in said


def test_maps_that_do_not_matter_and_pixels_that_do_are_brought_together():
    stays, turns = comparison("uniform", 1.0, 0.0), comparison("uniform", 0.1, 0.9)
    assert "Both can be true" in sentence([stays], curves(0.2, 0.4, (0.5, 0.6)))
    assert "Both can be true" not in sentence([turns], curves(0.2, 0.4, (0.5, 0.6)))
    assert "Both can be true" not in sentence([stays], curves(0.55, 0.4, (0.5, 0.6)))


def test_other_sentences():
    assert sentence([]) == "Nothing was compared yet."
    assert "the answer changes and 30 %" in sentence([comparison("uniform", 0.0, 0.3, rows=1)])
    assert "the look of the maps proves little" in sentence([comparison("random weights", 0.0, 0.9, similarity=0.7)])
    assert "some of what is seen" in sentence([comparison("random weights", 0.0, 0.9, similarity=0.3)])
    assert "everywhere alike" in sentence([comparison("random weights", 0.0, 0.9, similarity=None)])
    one = comparison("shuffled", 0.5, 0.25)
    assert json.loads(json.dumps(one.summary()))["effect"] == "large"
    assert one.title == "Each map's weights moved to random places"
