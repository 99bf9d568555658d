"""Measurements of the service, and attempts to break it: commands that start it and talk HTTP to it.

`overhead` measures it against the bare limit of its own graphs, `overload` at twice its capacity, `poison`, `swap` and
`rolling` what must not cost a request, `chaos` and `soak` what clients do to it at once and for long.
"""
