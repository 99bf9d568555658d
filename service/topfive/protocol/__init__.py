"""The Open Inference Protocol v2, as far as REST and gRPC share it: checks of requests, descriptions of models."""
