"""Where the time of a service goes under load: what bounds it, with the evidence, and what to try."""
