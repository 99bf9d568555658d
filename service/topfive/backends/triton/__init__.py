"""Triton runs the batches; decoding, the per-image graphs and the batching stay in this process."""
