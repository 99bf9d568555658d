"""A student learns what its teacher answers, of the same views, without labels; the teacher stays as it was."""

import copy
from dataclasses import replace

import pytest

from tests.pipeline.conftest import needs_export

needs_export()

import torch  # noqa: E402  # these import torch, once it is known to be there
from torch.nn import functional  # noqa: E402

from recipes.distil import against, distilled, lesson, of_views  # noqa: E402
from recipes.kit import data  # noqa: E402
from recipes.kit.networks import plain  # noqa: E402
from recipes.kit.teaching import softened  # noqa: E402
from recipes.kit.training import Schedule, accuracy, fit, logits_of, shifted  # noqa: E402
from topfive.ground.errors import ConfigurationError  # noqa: E402

pytestmark = pytest.mark.untraced

SCHEDULE = Schedule(epochs=4, batch=64)


def test_the_loss_is_the_divergence_of_the_softened_answers_times_the_temperature_squared() -> None:
    student, teacher = torch.randn(2, 5, 10)
    wanted, answered = (torch.softmax(logits / 3, 1) for logits in (teacher, student))
    divergence = (wanted * (wanted / answered).log()).sum(1).mean()
    assert torch.allclose(softened(3)(student, teacher), 9 * divergence, atol=1e-5)
    assert softened(3)(teacher, teacher).abs() < 1e-6


def test_its_gradient_is_that_of_matching_logits_at_a_high_temperature_and_of_cross_entropy_at_one() -> None:
    """Hinton et al., section 2.1: for centred logits it tends to (student - teacher) / K."""
    student, teacher = torch.randn(2, 5, 10)
    student, teacher = ((logits - logits.mean(1, keepdim=True)).requires_grad_() for logits in (student, teacher))
    (gradient,) = torch.autograd.grad(softened(1000)(student, teacher.detach()), student)
    assert torch.allclose(gradient, (student - teacher) / 10 / 5, atol=1e-3)
    (gradient,) = torch.autograd.grad(softened(1)(student, teacher.detach()), student)
    (by_labels,) = torch.autograd.grad(functional.cross_entropy(student, teacher.detach().softmax(1)), student)
    assert torch.allclose(gradient, by_labels, atol=1e-6)


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_a_temperature_that_nothing_can_be_divided_by_is_refused(temperature: float) -> None:
    with pytest.raises(ConfigurationError, match="say one above 0"):
        softened(temperature)


def test_the_teacher_answers_to_exactly_what_the_student_is_shown() -> None:
    teacher, inputs = plain(10, width=4), torch.randn(100, 1, 8, 8)
    shown, answers = lesson(teacher, inputs, SCHEDULE, shifted)
    assert len(shown) == 4 * len(inputs)
    assert not torch.equal(shown[:100], inputs)
    assert torch.equal(answers, logits_of(teacher, shown))


@pytest.mark.parametrize(("epochs", "views"), [(1, 1), (3, 3), (6, 3), (7, 1), (8, 4)])
def test_views_change_nothing_in_how_long_it_trains(epochs: int, views: int) -> None:
    schedule = replace(SCHEDULE, epochs=epochs)
    shown, _ = lesson(plain(10, width=2), torch.randn(10, 1, 8, 8), schedule, shifted)
    assert len(shown) == 10 * views
    assert of_views(schedule, views).epochs * len(shown) == epochs * 10


def test_a_student_learns_its_teachers_classes_without_a_label_and_leaves_it_as_it_was() -> None:
    torch.manual_seed(0)
    digits = data.load("digits")
    some = digits.train.first(300)
    inputs, test = digits.inputs(some), digits.test.first(300)
    teacher, student = plain(10, width=6), plain(10, width=4)
    fit(teacher, inputs, torch.from_numpy(some.labels), replace(SCHEDULE, epochs=8), lambda text: None)
    before = copy.deepcopy(teacher.state_dict())
    assert accuracy(student, digits, test) < 0.3
    found = distilled(student, teacher, inputs, replace(SCHEDULE, epochs=12), lambda text: None, temperature=4)
    assert found is student
    assert not student.training
    assert accuracy(teacher, digits, test) > 0.8
    assert accuracy(student, digits, test) > accuracy(teacher, digits, test) - 0.15
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_a_difference_counts_what_only_one_of_both_got_right() -> None:
    labels = torch.tensor([0, 1, 1, 0])
    first, second = (functional.one_hot(torch.tensor(named), 2).float() for named in ([0, 0, 0, 0], [0, 1, 1, 1]))
    assert against(first, second, labels).startswith("+25.00 [")
    assert against(second, first, labels).startswith("-25.00 [")
