"""The offline part of topfive: it builds, verifies and measures the graphs in `model_repository/`.

`service/` and `pipeline/` never import each other; they share only the files of the model repository.
"""
