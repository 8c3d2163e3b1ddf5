"""The training losses, by hand."""

import math

import pytest
import torch

from tokenlearner.training.losses import distillation, map_overlap, rebuild_error, soft_cross_entropy

ALL = (slice(None),)


def test_soft_cross_entropy_of_a_shared_target_is_the_mean_of_both_classes() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0]])
    log_z = math.log(math.exp(2) + 1 + math.exp(-1))
    expected = 0.5 * (log_z - 2.0) + 0.5 * (log_z - 0.0)
    assert float(soft_cross_entropy(logits, torch.tensor([[0.5, 0.5, 0.0]]), ALL)) == pytest.approx(expected)


def test_losses_of_two_questions_add_up_and_do_not_touch_one_another() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0, 0.5, 0.25]])
    target = torch.tensor([[1.0, 0.0, 0.0, 0.0, 1.0]])
    first, second = (slice(0, 3),), (slice(3, 5),)
    parts = [float(soft_cross_entropy(logits, target, group, 0.1)) for group in (first, second)]
    assert float(soft_cross_entropy(logits, target, first + second, 0.1)) == pytest.approx(sum(parts))
    assert parts[1] == pytest.approx(0.95 * math.log(1 + math.exp(0.25)) + 0.05 * math.log(1 + math.exp(-0.25)))
    taught = [float(distillation(logits, 2 * logits, group)) for group in (first, second)]
    assert float(distillation(logits, 2 * logits, first + second)) == pytest.approx(sum(taught))


def test_distillation_is_least_where_student_equals_teacher_and_teaches_the_student_only() -> None:
    teacher = torch.tensor([[1.0, -2.0, 0.5]], requires_grad=True)
    same = teacher.detach().clone().requires_grad_()
    loss = distillation(same, teacher, ALL)
    loss.backward()
    p = teacher.detach().softmax(1)
    assert loss.item() == pytest.approx(float(-(p * p.log()).sum()))
    assert torch.allclose(same.grad, torch.zeros(1, 3), atol=1e-7)  # type: ignore[arg-type]
    assert teacher.grad is None


def test_two_tokens_on_two_regions_rebuild_a_map_of_two_values() -> None:
    features = torch.zeros(1, 6, 4)
    features[:, :2, 0] = 1.0  # two patches of one kind, four of another
    features[:, 2:, 1] = 1.0
    regions = torch.full((1, 2, 6), -30.0)
    regions[0, 0, :2] = 30.0
    regions[0, 1, 2:] = 30.0
    assert float(rebuild_error(regions, features)) == pytest.approx(0.0, abs=1e-6)
    same = torch.zeros(1, 2, 6)  # both tokens are the mean of all patches: nothing is explained
    assert float(rebuild_error(same, features)) == pytest.approx(1.0, abs=1e-5)


def test_rebuilding_moves_the_maps_and_not_the_features() -> None:
    features = torch.randn(2, 5, 3, requires_grad=True)
    logits = torch.randn(2, 4, 5, requires_grad=True)
    rebuild_error(logits, features).backward()
    assert features.grad is None
    assert logits.grad is not None
    assert float(logits.grad.abs().sum()) > 0


def test_overlap_is_zero_for_disjoint_maps_one_for_equal_maps_and_zero_for_one_token() -> None:
    disjoint = torch.eye(3).unsqueeze(0)
    assert float(map_overlap(disjoint)) == pytest.approx(0.0, abs=1e-7)
    assert float(map_overlap(torch.full((2, 3, 4), 0.25))) == pytest.approx(1.0)
    assert float(map_overlap(disjoint[:, :1])) == 0.0


def test_overlap_of_half_shared_maps_is_the_cosine_of_their_angle() -> None:
    maps = torch.tensor([[[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]])
    assert float(map_overlap(maps)) == pytest.approx(0.5)
