"""The measuring kernel of `benchmarks/` and `loadtests/`: generators of load, their HTTP client, and verdicts."""
