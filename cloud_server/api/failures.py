"""How errors reach a device: one table, and the two forms that an error takes on the wire."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import grpc

from cloud_server.access.authenticator import Authenticator, Caller, TooManyStreams, Unauthenticated, address_of
from cloud_server.access.rates import RateLimited
from cloud_server.access.refusals import RefusalLog
from cloud_server.api.request import BadRequest, NotServed
from cloud_server.fleet.stats import Stats
from cloud_server.model.batching import Draining, ModelFailed
from cloud_server.model.decode import TooLarge
from cloud_server.model.places import Overloaded
from edge_sdk.errors import ImageError
from edge_sdk.wire import offload_pb2 as wire

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an error becomes.

    Attributes:
        code: the failure's code, in-band: one frame is refused and the call goes on. None: the error ends the call.
        status: the status of a call that the error ends.
        again: whether the same frame may be sent again.
    """

    code: wire.Failure.Code | None
    status: grpc.StatusCode
    again: bool


OUTCOMES: tuple[tuple[type[Exception], Outcome], ...] = (
    (TooLarge, Outcome(wire.Failure.TOO_LARGE, grpc.StatusCode.INVALID_ARGUMENT, again=False)),
    (ImageError, Outcome(wire.Failure.BAD_IMAGE, grpc.StatusCode.INVALID_ARGUMENT, again=False)),
    (BadRequest, Outcome(wire.Failure.BAD_REQUEST, grpc.StatusCode.INVALID_ARGUMENT, again=False)),
    (NotServed, Outcome(None, grpc.StatusCode.NOT_FOUND, again=False)),
    (RateLimited, Outcome(wire.Failure.OVERLOADED, grpc.StatusCode.RESOURCE_EXHAUSTED, again=True)),
    (Overloaded, Outcome(wire.Failure.OVERLOADED, grpc.StatusCode.RESOURCE_EXHAUSTED, again=True)),
    (Draining, Outcome(wire.Failure.DRAINING, grpc.StatusCode.UNAVAILABLE, again=True)),
    (ModelFailed, Outcome(wire.Failure.INTERNAL, grpc.StatusCode.INTERNAL, again=True)),
    (TooManyStreams, Outcome(None, grpc.StatusCode.RESOURCE_EXHAUSTED, again=True)),
    (Unauthenticated, Outcome(None, grpc.StatusCode.UNAUTHENTICATED, again=False)),
)
"""The first line that matches counts; any other error is `UNFORESEEN`."""

UNFORESEEN = Outcome(wire.Failure.INTERNAL, grpc.StatusCode.INTERNAL, again=True)


def outcome_of(error: Exception) -> Outcome:
    """The line of the table for `error`."""
    return next((outcome for kind, outcome in OUTCOMES if isinstance(error, kind)), UNFORESEEN)


def failure_of(error: Exception) -> wire.Failure:
    """The in-band failure for an error on one frame; an unforeseen one is logged, and its message is not sent."""
    outcome = outcome_of(error)
    if outcome is UNFORESEEN:
        _log.error("a frame was not answered", exc_info=error)
        message = f"the server failed on this frame ({type(error).__name__})"
        return wire.Failure(code=outcome.code, message=message, retryable=outcome.again)
    return wire.Failure(code=outcome.code, message=str(error), retryable=outcome.again)


REFUSED = (wire.Failure.TOO_LARGE, wire.Failure.BAD_IMAGE, wire.Failure.BAD_REQUEST)
"""Failures that are the device's own doing, as a rate that is exceeded is."""


def tell_failure(refusals: RefusalLog, caller: Caller, error: Exception) -> None:
    """Log that a frame was refused, by its device, where the device is the cause."""
    code = outcome_of(error).code
    if code in REFUSED or isinstance(error, RateLimited):
        refusals.tell((caller.name, type(error).__name__), f"a frame of {caller.name}", error)


async def let_in(context: Any, authenticator: Authenticator, stats: Stats, refusals: RefusalLog) -> Caller:
    """The caller; one that is not let in gets its status, and the call ends here."""
    try:
        return authenticator.authenticate(context)
    except Unauthenticated as error:
        await end_call(context, error, stats, refusals)
        raise  # not reached: `abort` raises


async def end_call(
    context: Any, error: Exception, stats: Stats, refusals: RefusalLog, caller: Caller | None = None
) -> None:
    """End a call that is not let in, or no longer, with its status, and log whose it was; never returns."""
    stats.refusals += 1
    address = address_of(context.peer())
    if isinstance(error, Unauthenticated):
        whose = f"token {error.device}" if error.device else f"address {address}"
        refusals.tell((whose, error.shown.partition(" ")[0]), f"a call from {address} ({error.shown})", error)
    else:
        name = f"address {address}" if caller is None else caller.name
        refusals.tell((name, type(error).__name__), f"a call of {name}", error)
    await context.abort(outcome_of(error).status, str(error))
