"""Deer, fox and boar: their proportions and coats."""

from __future__ import annotations

import numpy as np

from edge_sdk.camera.simulated.pose import Pose
from edge_sdk.camera.simulated.quadruped import Build, Quadruped, mix, tone
from edge_sdk.camera.simulated.shape import Colour, Panel, Solid, limb, loft

DEER = Build(
    torso=((-0.60, 0.80, 0.72, 0.03), (-0.57, 0.91, 0.60, 0.12), (-0.42, 0.97, 0.54, 0.17), (-0.20, 0.95, 0.575, 0.18),
           (0.05, 0.94, 0.545, 0.19), (0.26, 0.985, 0.515, 0.17), (0.40, 0.97, 0.54, 0.13), (0.50, 0.88, 0.61, 0.09),
           (0.555, 0.79, 0.69, 0.03)),
    neck_at=(0.36, 0.80),
    neck=((-0.04, 0.15, -0.16, 0.10), (0.14, 0.12, -0.135, 0.085), (0.34, 0.085, -0.09, 0.065),
        (0.50, 0.07, -0.085, 0.058)),
    head=((-0.09, 0.045, -0.05, 0.045), (-0.03, 0.085, -0.08, 0.07), (0.06, 0.08, -0.085, 0.07),
        (0.15, 0.045, -0.068, 0.05),
          (0.24, 0.028, -0.052, 0.036), (0.295, 0.012, -0.042, 0.03), (0.31, -0.005, -0.03, 0.015)),
    neck_angles=(0.72, 1.12, -0.95, 0.62), head_angles=(-0.38, -0.22, -1.2, -0.28),
    fore_at=(0.34, 0.62), hind_at=(-0.41, 0.76), stifle=(0.07, -0.23), fore_bones=(0.32, 0.33), hind_bones=(0.27, 0.36),
    fore_radii=(0.085, 0.04, 0.026, 0.034), hind_radii=(0.165, 0.115, 0.046, 0.03, 0.034), spread=0.085, stride=0.52,
)  # fmt: skip

FOX = Build(
    torso=((-0.80, 0.84, 0.75, 0.04), (-0.73, 0.93, 0.62, 0.12), (-0.50, 0.97, 0.565, 0.16), (-0.15, 0.95, 0.595, 0.17),
           (0.20, 0.95, 0.545, 0.19), (0.45, 0.99, 0.52, 0.18), (0.62, 0.95, 0.60, 0.13), (0.70, 0.86, 0.69, 0.06)),
    neck_at=(0.52, 0.80),
    neck=((-0.05, 0.19, -0.20, 0.15), (0.15, 0.17, -0.19, 0.15), (0.31, 0.145, -0.16, 0.13)),
    head=((-0.12, 0.10, -0.09, 0.10), (-0.02, 0.165, -0.15, 0.18), (0.09, 0.16, -0.15, 0.175),
        (0.18, 0.095, -0.12, 0.10),
          (0.30, 0.045, -0.085, 0.055), (0.42, 0.022, -0.065, 0.036), (0.48, -0.005, -0.05, 0.02)),
    neck_angles=(0.42, 0.85, -0.55, 0.30), head_angles=(-0.20, -0.10, -0.75, -0.12),
    fore_at=(0.50, 0.60), hind_at=(-0.56, 0.76), stifle=(0.10, -0.22), fore_bones=(0.31, 0.32), hind_bones=(0.27, 0.36),
    fore_radii=(0.085, 0.05, 0.04, 0.048), hind_radii=(0.155, 0.11, 0.05, 0.04, 0.048), spread=0.09, stride=0.62,
)  # fmt: skip

BOAR = Build(
    torso=((-0.82, 0.72, 0.56, 0.05), (-0.77, 0.82, 0.43, 0.15), (-0.50, 0.90, 0.38, 0.22), (-0.15, 0.95, 0.36, 0.25),
           (0.18, 1.02, 0.335, 0.26), (0.42, 1.04, 0.36, 0.25), (0.60, 0.97, 0.42, 0.21), (0.74, 0.88, 0.48, 0.17)),
    neck_at=(0.55, 0.70),
    neck=((-0.05, 0.26, -0.28, 0.22), (0.06, 0.25, -0.27, 0.21), (0.14, 0.235, -0.255, 0.20)),
    head=((-0.06, 0.245, -0.26, 0.20), (0.10, 0.215, -0.25, 0.19), (0.25, 0.150, -0.215, 0.15),
        (0.39, 0.105, -0.170, 0.105),
          (0.51, 0.085, -0.135, 0.085), (0.59, 0.08, -0.115, 0.08), (0.61, 0.055, -0.095, 0.06)),
    neck_angles=(-0.15, 0.05, -0.55, -0.05), head_angles=(-0.42, -0.28, -0.95, -0.25),
    fore_at=(0.42, 0.44), hind_at=(-0.56, 0.58), stifle=(0.09, -0.17), fore_bones=(0.23, 0.23), hind_bones=(0.20, 0.25),
    fore_radii=(0.12, 0.07, 0.045, 0.05), hind_radii=(0.20, 0.14, 0.06, 0.045, 0.05), spread=0.14, stride=0.42,
)  # fmt: skip


def deer(pose: Pose, rng: np.random.Generator) -> Solid:
    """A roe or red deer; some are stags."""
    coat: Colour = [(150, 98, 58), (134, 96, 66), (168, 112, 66), (116, 90, 68)][rng.integers(4)]
    pale = mix(coat, (232, 222, 204), 0.62)
    animal = Quadruped(DEER, pose, coat, tone(coat, 0.74), (30, 26, 24))
    animal.under(0.24, pale, 2, 7)
    rump = [
        (-0.605, 0.84, 0.70, 0.05),
        (-0.585, 0.90, 0.62, 0.11),
        (-0.53, 0.86, 0.64, 0.14),
        (-0.50, 0.80, 0.70, 0.13),
    ]
    animal.parts.append(loft((0, animal.bob, 0), 0.0, rump, (240, 234, 222), flat=True, bias_m=0.01))
    animal.parts.append(
        loft(
            (-0.58, 0.90 + animal.bob, 0),
            4.2 + 0.3 * pose.sway,
            ((0, 0.03, -0.03, 0.03), (0.08, 0.045, -0.03, 0.04), (0.17, 0.01, -0.01, 0.01)),
            pale,
        )
    )
    muzzle = mix(coat, (70, 56, 48), 0.6)
    animal.head_loft(DEER.head, [coat, coat, coat, mix(coat, muzzle, 0.4), muzzle, muzzle, muzzle], 0.03)
    animal.head_loft([(s, bottom * 0.35, bottom, half * 0.9) for s, _, bottom, half in DEER.head[2:6]], pale, 0.035)
    animal.ear((-0.06, 0.06, 0.055), 0.45, 0.75, 0.21, 0.055, tone(coat, 0.8), mix(coat, (226, 206, 190), 0.6))
    glows = animal.face((0.045, 0.035, 0.062), 0.02, (0.30, -0.005), 0.025, (235, 255, 240))
    if rng.random() < 0.45:
        _antlers(animal, rng)
    stature = float(rng.uniform(0.82, 1.12))
    return Solid(tuple(animal.parts), tuple(glows), 0.35).scaled(stature)


def _antlers(animal: Quadruped, rng: np.random.Generator) -> None:
    size = float(rng.uniform(0.30, 0.55))
    bone: Colour = (178, 156, 124)
    beam = ((-0.02, 0.0, 0.03), (-0.12, 0.35, 0.20), (-0.10, 0.75, 0.34), (0.10, 1.0, 0.36))
    tines = ((0.10, (0.26, 0.30, 0.06)), (0.5, (0.16, 0.72, 0.24)), (0.8, (-0.22, 1.05, 0.36)))
    root = (-0.02, 0.08, 0.03)
    for side in (-1, 1):
        track = [
            animal.on_head(root[0] + x * size, root[1] + y * size, (root[2] + z * size) * side) for x, y, z in beam
        ]
        animal.parts.append(limb(track, (0.022, 0.02, 0.016, 0.006), bone, bias_m=0.02))
        for at, (x, y, z) in tines[: int(rng.integers(1, 4))]:
            k = at * (len(beam) - 1)
            a, b, t = beam[int(k)], beam[int(k) + 1], k - int(k)
            start = [root[i] + size * (a[i] + (b[i] - a[i]) * t) for i in range(3)]
            end = (root[0] + x * size, root[1] + y * size, root[2] + z * size)
            animal.parts.append(
                limb(
                    [
                        animal.on_head(start[0], start[1], start[2] * side),
                        animal.on_head(end[0], end[1], end[2] * side),
                    ],
                    (0.015, 0.005),
                    bone,
                    bias_m=0.02,
                )
            )


def fox(pose: Pose, rng: np.random.Generator) -> Solid:
    """A red fox."""
    coat: Colour = [(204, 104, 40), (190, 92, 38), (214, 122, 56), (176, 96, 52)][rng.integers(4)]
    white: Colour = (240, 234, 224)
    black: Colour = (34, 28, 26)
    animal = Quadruped(FOX, pose, coat, black, black)
    animal.under(0.22, mix(coat, white, 0.55), 1, 7)
    drop = {"run": 0.06, "walk": 0.30, "feed": 0.40}.get(pose.action, 0.55)
    brush = (
        (0.0, 0.06, -0.06, 0.06),
        (0.18, 0.10, -0.10, 0.10),
        (0.45, 0.15, -0.15, 0.14),
        (0.70, 0.165, -0.165, 0.15),
        (0.88, 0.12, -0.12, 0.11),
        (1.02, 0.03, -0.03, 0.03),
    )
    tints = [coat, coat, tone(coat, 0.9), tone(coat, 0.85), white, white]
    animal.parts.append(
        loft(
            (-0.76, 0.86 + animal.bob, 0),
            np.pi + drop + 0.12 * pose.sway,
            brush,
            tints,
            samples=14,
            curl=-0.45,
            turn=0.25 * pose.sway,
            bias_m=-0.02,
        )
    )
    animal.head_loft(FOX.head, coat, 0.03)
    animal.head_loft([(s, bottom * 0.25, bottom, half * 1.02) for s, _, bottom, half in FOX.head[1:6]], white, 0.035)
    chest = ((-0.02, -0.08, -0.20, 0.12), (0.12, -0.06, -0.195, 0.13), (0.28, -0.04, -0.16, 0.10))
    animal.parts.append(loft(animal.neck_root, animal.neck_angle, chest, white, turn=pose.look * 0.5, bias_m=0.025))
    animal.ear((-0.04, 0.12, 0.11), 0.18, 0.35, 0.27, 0.085, black, mix(coat, white, 0.5))
    glows = animal.face((0.11, 0.05, 0.11), 0.026, (0.475, -0.015), 0.035, (245, 255, 235))
    return Solid(tuple(animal.parts), tuple(glows), 0.6).scaled(float(rng.uniform(0.36, 0.44)))


def boar(pose: Pose, rng: np.random.Generator) -> Solid:
    """A wild boar with its mane, snout and tusks."""
    coat: Colour = [(62, 52, 46), (80, 66, 54), (50, 44, 42), (92, 76, 60)][rng.integers(4)]
    leg = tone(coat, 0.6)
    animal = Quadruped(BOAR, pose, coat, leg, (24, 22, 20))
    snout: Colour = mix(coat, (150, 120, 108), 0.55)
    animal.head_loft(BOAR.head, [coat, coat, coat, mix(coat, snout, 0.3), mix(coat, snout, 0.6), snout, snout], 0.03)
    disc = [(s, 0.06 * r, -0.10 * r, 0.075 * r) for s, r in ((0.595, 1.25), (0.625, 1.25), (0.63, 0.7))]
    animal.head_loft(disc, (120, 92, 84), 0.05)
    animal.ear((0.06, 0.17, 0.13), 0.10, 0.3, 0.21, 0.085, tone(coat, 0.8), tone(coat, 1.25))
    if rng.random() < 0.6:
        for side in (-1, 1):
            track = [
                animal.on_head(0.43, -0.10, 0.085 * side),
                animal.on_head(0.47, -0.03, 0.115 * side),
                animal.on_head(0.45, 0.05, 0.12 * side),
            ]
            animal.parts.append(limb(track, (0.018, 0.014, 0.004), (236, 228, 206), flat=True, bias_m=0.06))
    tail_angle = 4.4 + 0.35 * pose.sway
    animal.parts.append(
        loft(
            (-0.81, 0.72 + animal.bob, 0),
            tail_angle,
            (
                (0, 0.02, -0.02, 0.02),
                (0.2, 0.015, -0.015, 0.015),
                (0.27, 0.04, -0.04, 0.03),
                (0.34, 0.005, -0.005, 0.005),
            ),
            leg,
        )
    )
    _mane(animal, tone(coat, 0.62), rng)
    glows = animal.face((0.20, 0.075, 0.145), 0.02, (0.635, -0.02), 0.022, (240, 235, 225))
    return Solid(tuple(animal.parts), tuple(glows), 0.8).scaled(float(rng.uniform(0.68, 0.95)))


def _mane(animal: Quadruped, colour: Colour, rng: np.random.Generator) -> None:
    xs = np.linspace(-0.55, 0.70, 26)
    ridge = np.interp(xs, [s for s, *_ in animal.torso], [top for _, top, *_ in animal.torso])
    heights = rng.uniform(0.03, 0.075, len(xs)) * np.interp(xs, (-0.55, 0.1, 0.5, 0.7), (0.4, 1.0, 1.2, 0.7))
    for x, y, h in zip(xs, ridge, heights, strict=True):
        points = np.array([(x - 0.045, y - 0.03, 0.0), (x - 0.05 - h * 0.5, y + h, 0.0), (x + 0.03, y - 0.03, 0.0)])
        animal.parts.append(Panel(points, colour, bias_m=-0.01))
