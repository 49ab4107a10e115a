"""Views of few pictures with the teacher's answers."""

from __future__ import annotations

from pathlib import Path

import little_task
import numpy as np
import pytest
import torch

from edge_sdk.workbench.specialize.answers import answers
from edge_sdk.workbench.specialize.distillation_set import DistillationSet, make_distillation_set
from edge_sdk.workbench.specialize.recipe import Recipe

SPEC = little_task.SPEC
RECIPE = Recipe(steps=12, batch=8, views=40, bf16=False)


def test_the_set_holds_views_of_all_pictures_with_the_teachers_answers() -> None:
    module, _ = little_task.trained()
    channels = torch.tensor([0, 3, 7])
    told: list[tuple[int, int]] = []
    samples = little_task.squares(4, little_task.LABELS)
    watched = {"layer2.0.conv1": channels, "fc": torch.arange(24)}
    found = make_distillation_set(
        module, module, samples, SPEC, RECIPE, watched, seed=3, on_step=lambda done, of, _: told.append((done, of))
    )
    assert found.images.shape == (40, 32, 32, 3) and found.answers.shape == (40, 6)
    torch.testing.assert_close(found.truths.sum(1), torch.ones(40))
    assert {name: tuple(values.shape) for name, values in found.features.items()} == {
        "layer2.0.conv1": (40, 3),
        "fc": (40, 24),
    }
    assert told == [(8 * n, 40) for n in range(6)]
    again = make_distillation_set(module, module, samples, SPEC, RECIPE, watched, seed=3)
    other = make_distillation_set(module, module, samples, SPEC, RECIPE, watched, seed=4)
    assert np.array_equal(found.images, again.images) and torch.equal(found.answers, again.answers)
    assert not np.array_equal(found.images, other.images)
    views = type(samples)(found.images, samples.truths[:1].repeat(40), samples.labels)
    torch.testing.assert_close(found.answers, answers(module, views, SPEC), rtol=1e-4, atol=1e-4)


def test_a_resumed_set_is_not_asked_again(tmp_path: Path) -> None:
    module, _ = little_task.trained()
    samples = little_task.squares(4, little_task.LABELS)
    recipe = Recipe(steps=20, batch=4, views=77, bf16=False)
    watched = {"fc": torch.arange(24)}
    asked: list[int] = []

    class Teacher(torch.nn.Module):
        def __init__(self, patience: int) -> None:
            super().__init__()
            self.patience = patience

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            asked.append(len(inputs))
            if len(asked) > self.patience:
                raise KeyboardInterrupt
            answers: torch.Tensor = module(inputs)
            return answers

    def ask(patience: int) -> DistillationSet:
        asked.clear()
        return make_distillation_set(
            Teacher(patience), module, samples, SPEC, recipe, watched, seed=3, folder=tmp_path / "views"
        )

    with pytest.raises(KeyboardInterrupt):
        ask(12)  # batches of 4: eight of them are a file
    again = ask(99)
    assert sum(asked) == 77 - 32
    whole = make_distillation_set(module, module, samples, SPEC, recipe, watched, seed=3)
    assert np.array_equal(again.images, whole.images) and torch.equal(again.truths, whole.truths)
    torch.testing.assert_close(again.answers, whole.answers)
    torch.testing.assert_close(again.features["fc"], whole.features["fc"])
    ask(0)  # nothing is left to ask
    assert not asked


def test_a_set_without_mixing_or_changes_are_the_pictures_and_their_mirror_images() -> None:
    module, _ = little_task.trained()
    samples = little_task.squares(2, little_task.LABELS)
    found = make_distillation_set(module, module, samples, SPEC, Recipe(views=24, mixed=0, strength=0, bf16=False), {})
    flips = 0
    for number, image in enumerate(found.images):
        own = samples.images[number % 12].astype(int)
        flips += bool(np.abs(own - image).mean() > 1.1)
        assert found.truths[number].argmax() == samples.truths[number % 12] and found.truths[number].max() == 1
    assert 0 < flips < 24


def test_a_teacher_that_sums_classes_watches_the_whole_networks_layers() -> None:
    from edge_sdk.networks.grouped import Summed
    from edge_sdk.workbench.specialize.restrict_head import restrict

    module, _ = little_task.trained()
    members = ((0, 1), (2,), (3, 4, 5))
    samples = little_task.squares(2, little_task.LABELS[:3])
    found = make_distillation_set(
        Summed(module, members), restrict(module, members), samples, SPEC, RECIPE, {"fc": torch.arange(24)}
    )
    alone = make_distillation_set(restrict(module, members), restrict(module, members), samples, SPEC, RECIPE, {})
    assert found.answers.shape == (40, 3) and found.features["fc"].shape == (40, 24)
    assert not torch.allclose(found.answers, alone.answers)
