"""The machine that the service runs on: cores, threads, file descriptors, changing files, turns of the event loop."""
