"""Plain gRPC for Python: a pool of threads, one picture at a time through the model."""

# mypy: ignore-errors
# ruff: noqa: D101, D102
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from shared import PORT, Model


class Classify(grpc.GenericRpcHandler):
    def __init__(self):
        self.model, self.turn = Model(), threading.Lock()

    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(self.answer)

    def answer(self, data, context):
        image = self.model.decode(data)
        with self.turn:
            rows, _ = self.model.model.run([image], [None])
        return rows[0].tobytes()


if __name__ == "__main__":
    server = grpc.server(ThreadPoolExecutor(8), handlers=[Classify()], maximum_concurrent_rpcs=None)
    server.add_insecure_port(f"127.0.0.1:{PORT}")
    server.start()
    server.wait_for_termination()
