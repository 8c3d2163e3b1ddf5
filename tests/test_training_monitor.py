"""What is measured during a run agrees with what an evaluation would measure."""

import dataclasses

import pytest
import torch

from tests.test_training_loop import NAMES, tiny_data, tiny_recipe
from tokenlearner.evaluation.collect import map_quality
from tokenlearner.layers import init_map_logits_
from tokenlearner.model import TokenLearnerViT
from tokenlearner.training.augment import centre_crops
from tokenlearner.training.monitor import measure


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_maps_of_either_version_are_measured_as_shares(version: str) -> None:
    recipe = tiny_recipe()
    module = {"num_tokens": 3, "version": version}
    recipe = dataclasses.replace(recipe, model={**recipe.model, "token_learner": module}, elastic=False)
    torch.manual_seed(0)
    model = TokenLearnerViT(recipe.model_config(NAMES)).eval()
    init_map_logits_(model.token_learners["1"], 2.0)
    data = tiny_data()
    found = measure(model, data, 24, recipe).maps[1]
    crops = centre_crops(data.val, torch.arange(len(data.val)), (24, 24))
    pixels = (crops * 255).round().to(torch.uint8).movedim(1, -1).numpy()
    expected = map_quality(model, pixels, 1)
    assert 0 < found.entropy <= 1
    assert found.entropy == pytest.approx(expected.entropy, abs=0.01)  # one sees bytes, the other fractions of them
    assert found.overlap == pytest.approx(expected.overlap, abs=0.01)
    assert found.adaptivity == pytest.approx(expected.adaptivity, abs=0.02)
