"""The Open Inference Protocol over gRPC; errors are statuses of the call, as standard clients expect them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from cloud_server.access.authenticator import Authenticator
from cloud_server.access.refusals import RefusalLog
from cloud_server.api.failures import failure_of, let_in, outcome_of, tell_failure
from cloud_server.api.request import BadRequest, NotServed
from cloud_server.fleet.stats import Stats
from cloud_server.open_inference import open_inference_pb2 as oip
from cloud_server.open_inference import open_inference_pb2_grpc as oip_grpc
from cloud_server.open_inference.bounds import read_request
from cloud_server.open_inference.repository import Repository
from cloud_server.open_inference.served_model import EXTENSIONS, SERVER
from edge_sdk import __version__

T = TypeVar("T")

SERVICE = oip.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name


def _written(message: Message) -> bytes:
    return message.SerializeToString()


def add_to_server(service: OpenInferenceService, server: Any) -> None:
    """As the generated function does, but a request's message is looked at before it is parsed."""
    methods = {}
    for method in oip.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods:
        read = read_request if method.name == "ModelInfer" else GetMessageClass(method.input_type).FromString
        methods[method.name] = grpc.unary_unary_rpc_method_handler(
            getattr(service, method.name), request_deserializer=read, response_serializer=_written
        )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))


class OpenInferenceService(oip_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Its calls pass the token interceptor before this; `ModelInfer` is bounded as a device's frames are.

    Args:
        repository: has the models.
        authenticator: tells who calls.
        stats: counts refusals.
        refusals: logs who is refused.
        is_serving: whether the server as a whole answers.
        is_open: whether it takes requests, whichever models answer.
    """

    def __init__(
        self,
        repository: Repository,
        authenticator: Authenticator,
        stats: Stats,
        refusals: RefusalLog,
        is_serving: Callable[[], bool],
        is_open: Callable[[], bool],
    ) -> None:
        self._repository = repository
        self._authenticator, self._stats, self._refusals = authenticator, stats, refusals
        self._is_serving, self._is_open = is_serving, is_open

    async def ServerLive(self, request: oip.ServerLiveRequest, context: Any) -> oip.ServerLiveResponse:
        """True: the server answers."""
        return oip.ServerLiveResponse(live=True)

    async def ServerReady(self, request: oip.ServerReadyRequest, context: Any) -> oip.ServerReadyResponse:
        """As health says."""
        return oip.ServerReadyResponse(ready=self._is_serving())

    async def ModelReady(self, request: oip.ModelReadyRequest, context: Any) -> oip.ModelReadyResponse:
        """Whether this version of the model answers."""
        offer = await _of(lambda: self._repository.find(request.name, request.version), context)
        return oip.ModelReadyResponse(ready=offer.is_ready and self._is_open())

    async def ServerMetadata(self, request: oip.ServerMetadataRequest, context: Any) -> oip.ServerMetadataResponse:
        """Name, version and extensions."""
        return oip.ServerMetadataResponse(name=SERVER, version=__version__, extensions=EXTENSIONS)

    async def ModelMetadata(self, request: oip.ModelMetadataRequest, context: Any) -> oip.ModelMetadataResponse:
        """Inputs, outputs and labels."""
        return await _of(lambda: self._repository.metadata(request.name, request.version), context)

    async def ModelConfig(self, request: oip.ModelConfigRequest, context: Any) -> oip.ModelConfigResponse:
        """The same in Triton's form."""
        config = await _of(lambda: self._repository.config(request.name, request.version), context)
        return oip.ModelConfigResponse(config=config)

    async def ModelStatistics(self, request: oip.ModelStatisticsRequest, context: Any) -> oip.ModelStatisticsResponse:
        """Counts of requests and pictures, by model and version."""
        counts = await _of(lambda: self._repository.statistics(request.name, request.version), context)
        return oip.ModelStatisticsResponse(model_stats=counts)

    async def RepositoryIndex(self, request: oip.RepositoryIndexRequest, context: Any) -> oip.RepositoryIndexResponse:
        """The models and their versions."""
        models = self._repository.index(is_open=self._is_open(), ready_alone=request.ready)
        return oip.RepositoryIndexResponse(models=models)

    async def ModelInfer(self, request: oip.ModelInferRequest | BadRequest, context: Any) -> oip.ModelInferResponse:
        """Pictures in, probabilities out."""
        caller = await let_in(context, self._authenticator, self._stats, self._refusals)
        if isinstance(request, BadRequest):
            tell_failure(self._refusals, caller, request)
            await context.abort(outcome_of(request).status, str(request))
            raise request  # not reached: `abort` raises
        answering = self._repository.infer(request, caller)
        del request  # its pictures are held by who works on them
        try:
            return await answering
        except Exception as error:
            tell_failure(self._refusals, caller, error)
            await context.abort(outcome_of(error).status, failure_of(error).message)
            raise  # not reached: `abort` raises


async def _of(ask: Callable[[], T], context: Any) -> T:
    """What the repository says; a model that it does not have ends the call."""
    try:
        return ask()
    except NotServed as error:
        await context.abort(outcome_of(error).status, str(error))
        raise  # not reached: `abort` raises
