"""One probe, in a Python of its own: `python -m edge_sdk.doctor.child MODULE:FUNCTION`.

The argument comes as JSON on standard input. What the function tells leaves as lines of JSON, each at once, so that a
crash in compiled code loses none of it. Other output of libraries goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from edge_sdk.errors import EdgeError

Tell = Callable[..., None]
"""Tells the doctor some values, by name."""


def main() -> int:
    """Run the probe that the command line names."""
    out = os.dup(1)
    os.dup2(2, 1)

    def tell(**values: Any) -> None:
        os.write(out, json.dumps(values).encode() + b"\n")

    module, _, function = sys.argv[1].partition(":")
    try:
        given = json.load(sys.stdin)
        getattr(importlib.import_module(module), function)(given, tell)
    except (EdgeError, ConnectionError, TimeoutError) as error:  # whose messages are for people
        tell(error=str(error), kind=type(error).__name__)
        return 1
    except BaseException as error:
        tell(error=f"{type(error).__name__}: {' '.join(str(error).split())}"[:500], kind=type(error).__name__)
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # threads and drivers that hang at the end have nothing more to say
