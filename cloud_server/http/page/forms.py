"""Fields of the page's forms, and what becomes of what they cannot hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Form
from starlette.exceptions import HTTPException

from cloud_server.fleet.database.opening import Overtaken
from edge_sdk.errors import EdgeError

T = TypeVar("T")
Text = Annotated[str, Form(max_length=4000)]
"""A field of text."""


def tried(work: Callable[[], T]) -> T:
    """What the work gives; its error as a page that says why."""
    try:
        return work()
    except Overtaken as error:
        raise HTTPException(409, str(error)) from error
    except EdgeError as error:
        raise HTTPException(422, str(error)) from error


def seen(since: str) -> int | None:
    """The change that a form was made from, milliseconds since 1970; None: the form does not say."""
    return int(since) if since.isascii() and since.isdigit() and len(since) < 20 else None
