"""LitServe: batches of up to 32."""

# mypy: ignore-errors
# ruff: noqa: D101, D102
import litserve as ls
from shared import BATCH, PORT, WAIT_S, Model


class Classify(ls.LitAPI):
    def setup(self, device):
        self.model = Model()

    def decode_request(self, request: dict):
        return bytes.fromhex(request["picture"])

    def batch(self, inputs):
        return inputs

    def predict(self, inputs):
        return self.model.answer(inputs)

    def unbatch(self, outputs):
        return outputs

    def encode_response(self, output):
        return {"probabilities": output.hex()}


if __name__ == "__main__":
    server = ls.LitServer(Classify(max_batch_size=BATCH, batch_timeout=WAIT_S), accelerator="cpu", timeout=60)
    server.run(host="127.0.0.1", port=PORT, generate_client_file=False, log_level="error")
