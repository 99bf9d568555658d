"""The Triton backend: Triton runs the batches; decoding, per-image graphs and batching stay in this process."""
