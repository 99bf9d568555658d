"""The Open Inference Protocol v2, as REST and gRPC share it: what a request must be, what a model says of itself."""
