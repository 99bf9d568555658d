"""The models that are served: loading them, wiring them into ensembles, and replacing them while they are served."""
