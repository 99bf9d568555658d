"""Commands that measure the service, or try to break it, over HTTP.

`overhead` compares it with the bare limit of its own graphs, and `overload` loads it at twice its capacity. `poison`,
`swap` and `rolling` check events that must not cost a request. `chaos` and `soak` check misbehaving clients and long
loads. `zoo` imports and serves real models of several frameworks, and compares the answers with the frameworks' own.
"""
