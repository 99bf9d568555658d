"""Real servers under load, in turns: what tuning and the launch gate measure with."""
