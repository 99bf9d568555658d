"""Makes the models of `python -m benchmarks zoo`: exports of several frameworks, and what each framework answers itself.

Each module but `saving` runs in a virtual environment of its framework's: `python -m benchmarks.zoo_models.MODULE OUT`.
"""
