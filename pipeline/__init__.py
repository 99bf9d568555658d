"""The offline part of topfive: builds, proves and measures the graphs in `model_repository/`.

Lives here: everything that happens before serving. Not here: anything a running service needs; `service/` and
`pipeline/` never import each other and meet only in the files of the model repository.
"""
