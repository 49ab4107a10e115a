"""Fields of the page's forms, and what becomes of what they cannot hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Form
from starlette.exceptions import HTTPException

from edge_sdk.errors import EdgeError

T = TypeVar("T")
Text = Annotated[str, Form(max_length=4000)]
"""A field of text."""


def tried(work: Callable[[], T]) -> T:
    """What the work gives; its error as a page that says why."""
    try:
        return work()
    except EdgeError as error:
        raise HTTPException(422, str(error)) from error
