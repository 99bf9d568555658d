"""The Open Inference Protocol v2 over gRPC: Triton's `GRPCInferenceService`, beside HTTP in the same process."""
