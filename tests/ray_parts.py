"""What Ray hands to a replica, without Ray's processes."""

from __future__ import annotations

import grpc


class Context:
    """Of a call, as `ray.serve.grpc_util.RayServegRPCContext`.

    Attributes:
        code: the status that was set; None: none was.
    """

    def __init__(self, token: str = "", **headers: str) -> None:
        self._metadata = [(name.replace("_", "-"), value) for name, value in headers.items()]
        if token:
            self._metadata.append(("authorization", f"Bearer {token}"))
        self.code: grpc.StatusCode | None = None
        self.details = ""

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return self._metadata

    def peer(self) -> str:
        return "ipv4:192.0.2.7:5"

    def set_code(self, code: grpc.StatusCode) -> None:
        self.code = code

    def set_details(self, details: str) -> None:
        self.details = details
