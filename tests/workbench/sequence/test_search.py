"""A search for exits that are worth their compute."""

from __future__ import annotations

import msgspec
from sequence_parts import features, made

from edge_sdk.networks.sequence import SequenceModel
from edge_sdk.workbench.sequence.search import find_exits, stages, with_exits
from edge_sdk.workbench.sequence.train import (
    exit_logits,
    fit_temperatures,
    train_exits,
)


def test_exits_learn_what_the_little_model_lacks_and_a_search_uses_them() -> None:
    model = made()
    train, calibration, test = (features(model, 1500, seed) for seed in range(3))
    before = exit_logits(model, test)
    little = test.little[:, ::-1].argmax(1)
    assert (before[:, 0].argmax(1) == little).all()  # untrained, an exit answers as the little model does
    train_exits(model, train, epochs=15)
    accuracy = (exit_logits(model, test).argmax(2) == test.truths[:, None]).mean(0)
    assert accuracy[-1] > accuracy[0] > (little == test.truths).mean() + 0.1
    model = SequenceModel(
        model.big, model.exits, msgspec.structs.replace(model.info, temperatures=fit_temperatures(model, calibration))
    )
    found = find_exits(model, calibration, test, little_macs=1e4, drop=0.01)
    assert found.evaluated.accuracy >= found.big_accuracy - 0.04
    assert found.evaluated.macs < found.single.macs
    whole = with_exits(model, found)
    assert whole.info.thresholds == found.chosen.thresholds[1:]
    assert [stage.name for stage in stages(model, test, 1.0)] == ["device", *model.info.modules, "big model"]
