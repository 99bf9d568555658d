"""Measurements of the service against the bare limit of its own graphs; see `benchmarks.overhead`."""
