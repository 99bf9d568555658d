"""The measuring kernel of `benchmarks/` and `loadtests/`: load, its schedule, its client, and what is made of it."""
