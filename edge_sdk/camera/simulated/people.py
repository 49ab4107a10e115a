"""People on foot: hikers, foresters, runners. All lengths in metres for a height of about 1.75."""

from __future__ import annotations

import numpy as np

from edge_sdk.camera.simulated.pose import Pose
from edge_sdk.camera.simulated.shape import Colour, Panel, Solid, Tube, knee, limb, loft

_JACKETS: tuple[Colour, ...] = (
    (184, 40, 38),
    (44, 84, 158),
    (66, 92, 54),
    (214, 120, 30),
    (70, 74, 84),
    (232, 206, 60),
    (120, 52, 110),
    (150, 140, 118),
    (38, 122, 130),
    (226, 226, 220),
)
_TROUSERS: tuple[Colour, ...] = (
    (52, 58, 78),
    (84, 74, 58),
    (44, 44, 46),
    (104, 100, 84),
    (60, 76, 108),
    (128, 110, 82),
)
_SKINS: tuple[Colour, ...] = ((232, 190, 160), (206, 160, 126), (150, 104, 76), (96, 66, 50))
_HAIRS: tuple[Colour, ...] = ((40, 30, 26), (96, 66, 40), (170, 130, 76), (140, 136, 132))
_SHOE: Colour = (48, 40, 36)


def person(pose: Pose, rng: np.random.Generator) -> Solid:
    """A person who walks, runs or stands."""
    jacket, trousers = _JACKETS[rng.integers(len(_JACKETS))], _TROUSERS[rng.integers(len(_TROUSERS))]
    skin, hair = _SKINS[rng.integers(len(_SKINS))], _HAIRS[rng.integers(len(_HAIRS))]
    bulk = float(rng.uniform(0.92, 1.15))
    pack, hat, pole = rng.random() < 0.5, int(rng.integers(4)), rng.random() < 0.2
    pack_colour = _JACKETS[rng.integers(len(_JACKETS))]
    hat_colour = _JACKETS[rng.integers(len(_JACKETS))]
    stature = float(rng.uniform(0.92, 1.08))
    parts: list[Tube | Panel] = []
    running, moving = pose.action == "run", pose.action in ("walk", "run")
    wave = 2 * np.pi * pose.phase
    lean = 0.16 if running else 0.05 if moving else 0.0
    bob = 0.03 * float(np.cos(2 * wave)) if moving else 0.0
    hip_y = 0.90 + bob
    for side in (-1, 1):
        _leg(parts, pose, side, hip_y, trousers, bulk)
    torso = ((-0.06, 0.09, -0.09, 0.15), (0.04, 0.115, -0.115, 0.17), (0.20, 0.105, -0.115, 0.155),
        (0.38, 0.12, -0.13, 0.185),
             (0.50, 0.105, -0.11, 0.205), (0.57, 0.075, -0.08, 0.16), (0.62, 0.05, -0.05, 0.07))  # fmt: skip
    torso_wide = [(s, top * bulk, bottom * bulk, half * bulk) for s, top, bottom, half in torso]
    parts.append(loft((0, hip_y, 0), np.pi / 2 - lean, torso_wide, jacket))
    belt = [
        (s, top * bulk * 1.02, bottom * bulk * 1.02, half * bulk * 1.02)
        for s, top, bottom, half in ((-0.10, 0.08, -0.09, 0.14), (0.0, 0.105, -0.105, 0.168))
    ]
    parts.append(loft((0, hip_y, 0), np.pi / 2 - lean, belt, trousers, bias_m=-0.01))
    sin, cos = float(np.sin(lean)), float(np.cos(lean))

    def at(forward: float, up: float, z: float) -> tuple[float, float, float]:
        return forward * cos + up * sin, hip_y + up * cos - forward * sin, z

    for side in (-1, 1):
        _arm(parts, pose, side, at(0.0, 0.53, 0.20 * bulk * side), jacket, skin, pole and side > 0)
    neck, crown = at(0.0, 0.60, 0.0), at(0.015, 0.70, 0.0)
    parts.append(limb([neck, at(0.01, 0.68, 0.0)], (0.055, 0.052), skin, bias_m=0.01))
    skull = (
        (-0.11, 0.05, -0.06, 0.05),
        (-0.06, 0.075, -0.085, 0.065),
        (0.03, 0.09, -0.10, 0.078),
        (0.10, 0.075, -0.09, 0.07),
        (0.14, 0.03, -0.04, 0.03),
    )
    head_turn = pose.look * 0.8
    parts.append(loft((crown[0], crown[1] + 0.03, 0), np.pi / 2 - lean * 0.3, skull, skin, turn=head_turn, bias_m=0.02))
    cap = (
        (-0.06, 0.098, 0.02, 0.072),
        (0.03, 0.112, -0.02, 0.086),
        (0.10, 0.092, -0.085, 0.08),
        (0.15, 0.05, -0.06, 0.045),
    )
    parts.append(loft((crown[0], crown[1] + 0.03, 0), np.pi / 2 - lean * 0.3, cap, hair, turn=head_turn, bias_m=0.021))
    nose = (crown[0] + 0.105 * float(np.cos(head_turn)), crown[1] + 0.025, 0.105 * float(np.sin(head_turn)))
    parts.append(limb([nose, (nose[0], nose[1] - 0.02, nose[2])], (0.014, 0.02), skin, bias_m=0.03))
    if hat:
        _hat(parts, hat, (crown[0], crown[1] + 0.03, 0.0), hat_colour, head_turn)
    if pack:
        bag = (
            (0.10, 0.30, 0.08, 0.13),
            (0.18, 0.34, 0.08, 0.16),
            (0.40, 0.33, 0.08, 0.16),
            (0.56, 0.25, 0.08, 0.13),
            (0.60, 0.18, 0.08, 0.08),
        )
        parts.append(loft((0, hip_y, 0), np.pi / 2 - lean, bag, pack_colour, bias_m=0.0))
    return Solid(tuple(parts), (), 0.05).scaled(stature)


def _leg(parts: list[Tube | Panel], pose: Pose, side: int, hip_y: float, trousers: Colour, bulk: float) -> None:
    z = 0.095 * side
    if pose.action in ("walk", "run"):
        running = pose.action == "run"
        stride, lift, duty = (1.15, 0.34, 0.36) if running else (0.74, 0.14, 0.60)
        phase = (pose.phase + (0.5 if side > 0 else 0.0)) % 1.0
        if phase < duty:
            x, y = stride * (0.5 - phase / duty), 0.0
        else:
            t = (phase - duty) / (1 - duty)
            x, y = stride * (t - 0.5), lift * float(np.sin(np.pi * t)) * (1.2 - t)
    else:
        x, y = 0.04 * side, 0.0
    foot = (x, y + 0.09)
    mid = knee((0.0, hip_y), foot, 0.43, 0.42, 1.0)
    radii = (0.105 * bulk, 0.074 * bulk, 0.052 * bulk)
    parts.append(limb([(0.0, hip_y, z), (*mid, z), (*foot, z)], radii, trousers, side_m=0.02 * side))
    parts.append(
        limb(
            [
                (foot[0] - 0.03, foot[1] - 0.04, z),
                (foot[0] + 0.08, foot[1] - 0.05, z),
                (foot[0] + 0.17, foot[1] - 0.06, z),
            ],
            (0.055, 0.05, 0.032),
            _SHOE,
            side_m=0.03 * side,
        )
    )


def _arm(
    parts: list[Tube | Panel],
    pose: Pose,
    side: int,
    shoulder: tuple[float, float, float],
    jacket: Colour,
    skin: Colour,
    pole: bool,
) -> None:
    swing = float(np.sin(2 * np.pi * (pose.phase + (0.0 if side > 0 else 0.5))))
    if pose.action == "run":
        upper, lower = -1.57 + 0.8 * swing, -0.1 + 0.6 * swing
    elif pose.action == "walk":
        upper, lower = -1.57 + 0.42 * swing, -1.30 + 0.50 * swing
    elif pose.action == "feed":
        upper, lower = -0.9, 0.75
    else:
        upper, lower = -1.60, -1.45
    elbow = (
        shoulder[0] + 0.29 * float(np.cos(upper)),
        shoulder[1] + 0.29 * float(np.sin(upper)),
        shoulder[2] + 0.03 * side,
    )
    hand = (elbow[0] + 0.25 * float(np.cos(lower)), elbow[1] + 0.25 * float(np.sin(lower)), elbow[2])
    parts.append(limb([shoulder, elbow, hand], (0.075, 0.056, 0.042), jacket, side_m=0.10 * side))
    parts.append(
        limb(
            [hand, (hand[0] + 0.06 * float(np.cos(lower)), hand[1] + 0.06 * float(np.sin(lower)), hand[2])],
            (0.042, 0.036),
            skin,
            side_m=0.11 * side,
        )
    )
    if pole:
        parts.append(
            limb(
                [(hand[0], hand[1] + 0.25, hand[2]), (hand[0] + 0.15, 0.0, hand[2])],
                (0.016, 0.012),
                (60, 50, 44),
                flat=True,
                side_m=0.12 * side,
            )
        )


def _hat(parts: list[Tube | Panel], kind: int, at: tuple[float, float, float], colour: Colour, turn: float) -> None:
    crown = ((0.05, 0.105, -0.105, 0.09), (0.12, 0.10, -0.10, 0.088), (0.17, 0.06, -0.06, 0.055))
    parts.append(loft(at, np.pi / 2, crown, colour, turn=turn, bias_m=0.03))
    if kind == 1:
        brim = ((0.05, -0.05, -0.20, 0.075), (0.065, -0.05, -0.20, 0.075))
        parts.append(loft(at, np.pi / 2, brim, colour, turn=turn, flat=True, bias_m=0.035))
    elif kind == 2:
        brim = ((0.045, 0.19, -0.19, 0.18), (0.06, 0.19, -0.19, 0.18))
        parts.append(
            loft(
                at,
                np.pi / 2,
                brim,
                (colour[0] * 0.85, colour[1] * 0.85, colour[2] * 0.85),
                turn=turn,
                flat=True,
                bias_m=0.032,
            )
        )
