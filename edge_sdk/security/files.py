"""Files that an operator names: read in bounds, and explained where they are not what they should be."""

from __future__ import annotations

from pathlib import Path

from edge_sdk.durable.files import IrregularFile, open_regular
from edge_sdk.errors import ConfigError

MAX_BYTES = 16 << 20
_OTHER_ENCODINGS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_given(path: Path, what: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The content of a regular file; a pipe or a device file never makes the caller wait.

    Args:
        path: the file, or a link to it.
        what: its name in messages, such as "tokens file".
        max_bytes: of its content.

    Raises:
        ConfigError: it cannot be read, is no regular file, or is larger.
    """
    try:
        with open_regular(path) as file:
            content = file.read(max_bytes + 1)
    except IrregularFile as error:
        raise ConfigError(f"expected a file as the {what} {path}; it is {error}") from error
    except OSError as error:
        raise ConfigError(f"cannot read the {what} {path}: {error.strerror}") from error
    except ValueError as error:  # a name with a null character
        raise ConfigError(f"cannot read the {what} {str(path)!r}: {error}") from error
    if len(content) > max_bytes:
        raise ConfigError(f"expected at most {max_bytes:,} bytes in the {what} {path}; it has more")
    return content


def read_given_text(path: Path, what: str, *, max_bytes: int = MAX_BYTES) -> str:
    """The text of a UTF-8 file, without the byte order mark that some editors put before it.

    Raises:
        ConfigError: as `read_given`; the text is of another encoding.
    """
    content = read_given(path, what, max_bytes=max_bytes)
    for mark, name in _OTHER_ENCODINGS:
        if content.startswith(mark):
            raise ConfigError(f"expected UTF-8 in the {what} {path}; it is {name}: save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"expected UTF-8 in the {what} {path}; line {line} has the byte 0x{content[error.start]:02x}, as other "
            "encodings have (Windows-1252, Latin-1): save it as UTF-8"
        ) from error


def read_first_line(path: Path, what: str) -> str:
    """The first line of a file, such as an address that shall stand in no list of processes.

    Args:
        path: the file.
        what: what the line holds, such as "address"; the file is called the "address file" in messages.

    Raises:
        ConfigError: as `read_given`; it is no UTF-8 text, or its first line is empty.
    """
    lines = read_given_text(path, f"{what} file").splitlines()
    if not lines or not lines[0].strip():
        raise ConfigError(f"expected the {what} in the first line of {path}; got an empty line")
    return lines[0].strip()
