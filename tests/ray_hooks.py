"""Run by Ray in each worker process before it is used (`worker_process_setup_hook`)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from uuid import uuid4

from gated_model import GatedModel

from cloud_server import models
from cloud_server.model.big import BigModel
from edge_sdk.model.bundle import open_bundle


def load_gated_trailcam() -> None:
    """Replicas load a gated model with the labels of the shipped bundle."""
    GatedModel.labels = open_bundle("trailcam").manifest.labels
    load_gated_models()


def load_gated_models() -> None:
    """Replicas load a gated model; a file of the folder `RAY_HOOKS_FOLDER`, if it is set, says on which device."""

    def load(weights: str, device: str, threads: int | None, engine: str) -> BigModel:
        if "RAY_HOOKS_FOLDER" in os.environ:
            told = {"device": device, "visible": os.environ.get("CUDA_VISIBLE_DEVICES", "")}
            (Path(os.environ["RAY_HOOKS_FOLDER"]) / f"{uuid4()}.json").write_text(json.dumps(told))
        model = GatedModel()
        model.fingerprint = weights
        return model

    setattr(models, "load_model", load)  # noqa: B010 - the module does not export it
