"""What is served: models are loaded, wired into ensembles, and exchanged while they are served."""
