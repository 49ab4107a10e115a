"""Requests out of a corpus by seeded chance."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from edge_sdk.wire import offload_pb2 as wire

METHODS = ("Classify", "Classify", "Classify", "Classify", "Describe", "NoSuchMethod")
_INTERESTING = (
    b"\xff\xd8",
    b"\xff\xd9",
    b"\xff\xda",
    b"\xff\xc4",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"IDAT",
    b"IEND",
    b"ALPH",
)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, cut out, doubled, moved or cut off."""
    content = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at, length = chance.randrange(len(content) + 1), chance.choice((1, 2, 4, 16, 256))
        kind = chance.randrange(7)
        if kind == 0 and at < len(content):
            content[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            content[at : at + length] = chance.randbytes(length)
        elif kind == 2:
            del content[at : at + length]
        elif kind == 3:
            content[at:at] = content[at : at + length] * chance.choice((1, 2, 50))
        elif kind == 4:
            piece = chance.choice(_INTERESTING)
            content[at : at + len(piece)] = piece
        elif kind == 5:
            del content[at:]
        else:
            other = chance.randrange(len(content) + 1)
            content[at : at + length] = content[other : other + length]
    return bytes(content)


def requests(honest: Sequence[bytes], bombs: Sequence[bytes], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Method names and serialised requests: mutated pictures, odd fields, mutated and random protobufs, bombs."""
    chance = random.Random(seed)
    for number in range(count):
        image = chance.choice(honest)
        if chance.random() < 0.9:
            image = mutated(image, chance)
        elif chance.random() < 0.05:
            image = chance.choice(bombs)
        request = wire.ClassifyRequest(frame_id=f"{seed:08x}{number:024x}", image=image)
        kind = chance.random()
        if kind < 0.05:
            request.frame_id = "".join(chance.choice("0aZ-/\0é") for _ in range(chance.choice((0, 1, 31, 33, 5_000))))
        elif kind < 0.10:
            request.frame_id = f"{seed:08x}{chance.randrange(20):024x}"  # an id that comes again
        elif kind < 0.15:
            values = (0.5, 1.0, -1.0, float("nan"), float("inf"), 1e30)
            request.probabilities.extend(chance.choice(values) for _ in range(chance.choice((1, 3, 10_000))))
        content = request.SerializeToString()
        if kind > 0.98:
            content = chance.randbytes(chance.randrange(200))
        elif kind > 0.93:
            content = mutated(content, chance)
        yield (chance.choice(METHODS) if kind > 0.93 else "Classify"), content
