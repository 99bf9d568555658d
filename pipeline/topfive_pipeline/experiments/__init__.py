"""The log of experiments: what was run, with what, on which data and machine, and with which result, kept by MLflow."""
