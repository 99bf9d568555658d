"""Makes the models of `python -m benchmarks zoo`: exports of several frameworks, and each framework's answers.

Each module but `saving` runs in a virtual environment of its framework's: `python -m benchmarks.zoo_models.MODULE OUT`.
"""
