"""The Open Inference Protocol (KServe v2): standard clients beside devices, over gRPC and HTTP."""
