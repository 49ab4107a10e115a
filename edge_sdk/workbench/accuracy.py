"""Accuracy of a network on prepared pictures."""

from __future__ import annotations

import torch
from torch import nn

from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.pixels import OnPart, Pixels
from edge_sdk.workbench.tensors import scaled, to_tensor


def accuracy_of(
    module: nn.Module,
    pixels: Pixels,
    spec: InputSpec,
    *,
    batch: int = 64,
    looks: int = 1,
    bf16: bool = False,
    on_done: OnPart | None = None,
) -> float:
    """Share of prepared pictures that the network names rightly, scaled to its size; train or eval mode is restored.

    Args:
        module: gives logits `(N, C)`.
        pixels: the pictures.
        spec: input of the network.
        batch: pictures at a time, a multiple of `looks`.
        looks: number of pictures that follow one another and show the same: the mean of their probabilities counts.
        bf16: compute under bfloat16 autocast.
        on_done: called with the pictures done, and of how many.
    """
    training = module.training
    device = next(module.parameters()).device
    module.eval()
    right = done = 0
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for images, truths in pixels.batches(batch):
            logits = module(to_tensor(scaled(images, spec), spec, device)).float()
            if looks > 1:
                logits = logits.softmax(1).unflatten(0, (-1, looks)).mean(1)
            right += int((logits.argmax(1).cpu().numpy() == truths[::looks]).sum())
            done += len(truths)
            if on_done is not None:
                on_done(done, len(pixels))
    module.train(training)
    return looks * right / len(pixels)
