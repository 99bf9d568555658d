"""The machine below: cores, threads, file descriptors, files that change, turns of the event loop."""
