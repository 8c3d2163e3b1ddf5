"""Lanes: what can be compared with one click, and what becomes of a choice that no longer exists."""

import dataclasses
from pathlib import Path

from app.compare.lanes import Lane, fitted, lane_of, lane_words, one_more, presets
from app.models import ModelChoice
from tests.engine_cases import PLAIN, TINY, VIDEO
from tokenlearner.cards import ModelCard
from tokenlearner.config import ModelConfig, TokenLearnerConfig


def model(name: str, config: ModelConfig = TINY) -> ModelChoice:
    card = ModelCard(name=name, title=name, config=config, trained=True, origin="trained")
    return ModelChoice(card, Path(f"{name}.safetensors"), 1)


LARGE = dataclasses.replace(
    TINY,
    depth=8,
    tokenlearner_locs=(0, 2, 4, 6),
    default_loc=4,
    token_learner=TokenLearnerConfig(num_tokens=16, bottleneck_dim=10),
)
KNOWN = (model("large", LARGE), model("video", VIDEO), model("plain", PLAIN))


def lanes_of(name: str, *, main: ModelChoice = KNOWN[0]) -> tuple[Lane, ...]:
    return next(preset.lanes for preset in presets(KNOWN, main) if preset.name == name)


def test_the_presets_differ_in_one_thing_each():
    usual = Lane(model="large", loc=4, num_tokens=8)
    assert lanes_of("8 tokens | 2 tokens") == (usual, dataclasses.replace(usual, num_tokens=2))
    assert [lane.loc for lane in lanes_of("¼ | ¾ of the depth")] == [2, 6]
    assert lanes_of("tokens | plain ViT") == (usual, dataclasses.replace(usual, loc=None))
    assert lanes_of("trained | random weights") == (usual, dataclasses.replace(usual, random=True))
    assert lanes_of("image | video model") == (usual, Lane(model="video", loc=1, num_tokens=6))
    assert [lane.num_tokens for lane in lanes_of("8 | 4 | 2 | 1 tokens")] == [8, 4, 2, 1]


def test_the_image_model_stands_first_even_where_a_video_model_is_in_use():
    assert [lane.model for lane in lanes_of("image | video model", main=KNOWN[1])] == ["large", "video"]


def test_what_a_model_cannot_do_is_not_offered():
    names = [preset.name for preset in presets(KNOWN[2:], KNOWN[2])]
    assert names == ["trained | random weights"]
    one_place = dataclasses.replace(LARGE, tokenlearner_locs=(4,))
    assert "¼ | ¾ of the depth" not in [preset.name for preset in presets((), model("one", one_place))]


def test_a_choice_that_no_longer_exists_becomes_the_nearest_one():
    assert fitted(Lane(model="gone", loc=3, num_tokens=99), KNOWN) == Lane(model="large", loc=4, num_tokens=16)
    kept = Lane(model="video", loc=None, num_tokens=3, random=True)
    assert fitted(kept, KNOWN) == kept


def test_a_further_lane_is_like_the_last_with_half_the_tokens():
    lanes = (lane_of(KNOWN[1]), lane_of(KNOWN[0], num_tokens=5))
    assert one_more(lanes) == (*lanes, lane_of(KNOWN[0], num_tokens=2))
    assert one_more(one_more(one_more(lanes)))[-1].num_tokens == 1


def test_the_plain_network_has_no_tokens_in_the_servers_words():
    assert Lane(model="large", loc=None, num_tokens=7).view == (None, 0, ())
    assert Lane(model="large", loc=2, num_tokens=7).view == (2, 7, ())
    assert lane_words(Lane(model="large", loc=None, num_tokens=7), LARGE) == "Plain ViT, every patch"
    assert lane_words(Lane(model="large", loc=2, num_tokens=1), LARGE) == "1 token after 2 of 8 blocks"
