"""A procedural trail camera, `simulated://trailcam?seed=0`: frames with their truth, no hardware and no data needed."""

from edge_sdk.camera.simulated.arrivals import LABELS
from edge_sdk.camera.simulated.camera import SimulatedCamera, from_url
from edge_sdk.camera.simulated.sampler import contact_sheet, training_frames

__all__ = ["LABELS", "SimulatedCamera", "contact_sheet", "from_url", "training_frames"]
