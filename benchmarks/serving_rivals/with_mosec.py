"""mosec: batches of up to 32."""

# mypy: ignore-errors
# ruff: noqa: D101, D102
import sys

from mosec import Server, Worker
from shared import BATCH, PORT, WAIT_S, Model


class Classify(Worker):
    def __init__(self):
        super().__init__()
        self.model = Model()

    def deserialize(self, data):
        return data

    def forward(self, data):
        return self.model.answer(data)

    def serialize(self, data):
        return data


if __name__ == "__main__":
    sys.argv[1:] = ["--address", "127.0.0.1", "--port", str(PORT), "--timeout", "60000", "--capacity", "2048"]
    server = Server()
    server.append_worker(
        Classify, num=1, max_batch_size=BATCH, max_wait_time=round(1000 * WAIT_S), start_method="spawn"
    )
    server.run()
