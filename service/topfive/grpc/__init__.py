"""The Open Inference Protocol v2 over gRPC: Triton's `GRPCInferenceService`, in the same process as HTTP."""
