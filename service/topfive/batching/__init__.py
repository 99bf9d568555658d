"""Decides which images run together and when: the queue, the batches, retries and the watchdog."""
