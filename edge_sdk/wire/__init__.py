"""The wire between device and cloud: code generated from `protos/offload.proto`, and what a message costs."""
