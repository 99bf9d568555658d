"""Bodies of requests over HTTP: they are read, inflated, and taken apart into images."""
