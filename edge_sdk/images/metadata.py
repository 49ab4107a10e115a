"""Time, camera and label in a picture's own file: EXIF 2.32 and XMP, written into a JPEG or WebP without decoding it.

Own code, since the libraries are no fit for a device: piexif was last released in 2019 and writes neither XMP nor
WebP's flags; Pillow, pyexiv2 and exiftool each bring more than the rest of the device together. What is written here is
read back by `edge_sdk.images.exif`, and by exiftool in the tests.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

from edge_sdk.errors import ImageError
from edge_sdk.images.header import read_header

_ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 2, 3, 4, 5, 7
_SIZES = {_SHORT: 2, _LONG: 4, _RATIONAL: 8}
_DOTS = _RATIONAL, struct.pack("<II", 72, 1)
_LONGEST = 2_000  # characters of a text: all fit into one JPEG segment of 64 kB
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_HAS_EXIF, _HAS_XMP = 0x08, 0x04
_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/"><xmp:CreatorTool>{software}</xmp:CreatorTool>'
    '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{description}</rdf:li></rdf:Alt></dc:description>'
    '{subject}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a picture's file says of it. Of a text, the first 2,000 characters are written, as UTF-8.

    Attributes:
        captured_at: with a time zone: DateTimeOriginal, OffsetTimeOriginal, SubSecTimeOriginal.
        camera: Model.
        description: ImageDescription, and dc:description of XMP.
        software: Software, and xmp:CreatorTool of XMP.
        comment: UserComment; characters beyond ASCII become "?".
        keywords: dc:subject of XMP, where programs that sort pictures look for them.
        unique_id: ImageUniqueID, 32 hexadecimal digits; "": none.
    """

    captured_at: datetime
    camera: str
    description: str
    software: str
    comment: str = ""
    keywords: tuple[str, ...] = ()
    unique_id: str = ""


def with_metadata(picture: bytes, metadata: Metadata) -> bytes:
    """The same picture, pixel for pixel, with an EXIF block and an XMP packet.

    Args:
        picture: a JPEG or WebP file without such, as `encode` makes it.
        metadata: what is written.

    Raises:
        ImageError: it is no such file.
    """
    header = read_header(picture, ("JPEG", "WebP"))
    if header.exif:
        raise ImageError("expected a picture without an EXIF block; it has one already")
    exif, xmp = exif_block(metadata, header.width, header.height), xmp_packet(metadata)
    return (
        _into_webp(picture, exif, xmp, header.width, header.height)
        if header.format == "WebP"
        else _into_jpeg(picture, exif, xmp)
    )


def exif_block(metadata: Metadata, width: int, height: int) -> bytes:
    """The EXIF block of a picture of `width` x `height` pixels, from its TIFF header on."""
    at = metadata.captured_at
    offset = at.utcoffset() or timedelta(0)
    if offset % timedelta(minutes=1):  # EXIF has no seconds of an offset
        at, offset = at.astimezone(UTC), timedelta(0)
    sign, minutes = "-" if offset < timedelta(0) else "+", abs(offset) // timedelta(minutes=1)
    zone = f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    time = f"{at.year:04d}:{at.month:02d}:{at.day:02d} {at.hour:02d}:{at.minute:02d}:{at.second:02d}"
    main = {
        0x010E: _text(metadata.description),
        0x0110: _text(metadata.camera),
        0x011A: _DOTS,
        0x011B: _DOTS,
        0x0128: (_SHORT, struct.pack("<H", 2)),  # of an inch
        0x0131: _text(metadata.software),
        0x0132: _text(time),
        0x0213: (_SHORT, struct.pack("<H", 1)),  # colours are centred between pixels
    }
    shot = {
        0x9000: (_UNDEFINED, b"0232"),
        0x9003: _text(time),
        0x9010: _text(zone),
        0x9011: _text(zone),
        0x9101: (_UNDEFINED, bytes([1, 2, 3, 0])),  # Y, Cb, Cr
        0xA000: (_UNDEFINED, b"0100"),
        0xA001: (_SHORT, struct.pack("<H", 1)),  # sRGB
        0xA002: (_LONG, struct.pack("<I", width)),
        0xA003: (_LONG, struct.pack("<I", height)),
    }
    if metadata.comment:
        shot[0x9286] = _UNDEFINED, b"ASCII\0\0\0" + _cut(metadata.comment).encode("ascii", "replace")
    if at.microsecond:
        shot[0x9290] = shot[0x9291] = _text(f"{at.microsecond:06d}".rstrip("0"))
    if metadata.unique_id:
        shot[0xA420] = _text(metadata.unique_id)
    pointer = 0x8769
    begins = 8 + len(_directory({**main, pointer: (_LONG, bytes(4))}, 8))
    return (
        struct.pack("<2sHI", b"II", 42, 8)
        + _directory({**main, pointer: (_LONG, struct.pack("<I", begins))}, 8)
        + _directory(shot, begins)
    )


def xmp_packet(metadata: Metadata) -> bytes:
    """The XMP packet, UTF-8."""
    keywords = "".join(f"<rdf:li>{_xml(keyword)}</rdf:li>" for keyword in metadata.keywords)
    subject = f"<dc:subject><rdf:Bag>{keywords}</rdf:Bag></dc:subject>" if keywords else ""
    texts = {"software": _xml(metadata.software), "description": _xml(metadata.description)}
    return _PACKET.format(**texts, subject=subject).encode()


def _directory(fields: dict[int, tuple[int, bytes]], begins: int) -> bytes:
    """A directory of a TIFF structure that begins at this offset, with its values behind it."""
    entries, values = b"", b""
    behind = begins + 2 + 12 * len(fields) + 4
    for tag, (kind, value) in sorted(fields.items()):
        count = len(value) // _SIZES.get(kind, 1)
        if len(value) > 4:
            place = struct.pack("<I", behind + len(values))
            values += value + bytes(len(value) % 2)
        else:
            place = value.ljust(4, b"\0")
        entries += struct.pack("<HHI", tag, kind, count) + place
    return struct.pack("<H", len(fields)) + entries + bytes(4) + values


def _text(text: str) -> tuple[int, bytes]:
    return _ASCII, _cut(text).replace("\0", "").encode("utf-8", "replace") + b"\0"


def _cut(text: str) -> str:
    return text[:_LONGEST]


def _xml(text: str) -> str:
    """Text of an XML document, without the characters that none may have."""
    allowed = (
        letter
        for letter in _cut(text)
        if letter in "\t\n\r" or " " <= letter <= "\ud7ff" or "\ue000" <= letter <= "\ufffd" or letter >= "\U00010000"
    )
    return escape("".join(allowed))


def _into_jpeg(picture: bytes, exif: bytes, xmp: bytes) -> bytes:
    """Behind the start mark, and behind the JFIF segment where there is one."""
    place = 2
    if picture[2:4] == b"\xff\xe0":
        place += 2 + int.from_bytes(picture[4:6], "big")
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body for body in (_EXIF + exif, _XMP + xmp))
    return picture[:place] + segments + picture[place:]


def _into_webp(picture: bytes, exif: bytes, xmp: bytes, width: int, height: int) -> bytes:
    """In the extended form: a chunk that says what there is, the picture's chunks, EXIF and XMP."""
    chunks, flags = picture[12:], 0
    if chunks[:4] == b"VP8X":
        flags, chunks = chunks[8], chunks[18:]
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    extended = bytes([flags | _HAS_EXIF | _HAS_XMP, 0, 0, 0]) + sides
    body = _chunk(b"VP8X", extended) + chunks + _chunk(b"EXIF", exif) + _chunk(b"XMP ", xmp)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(body), b"WEBP") + body


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(body)) + body + bytes(len(body) % 2)
