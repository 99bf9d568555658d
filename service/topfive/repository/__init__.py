"""The model repository in Triton's layout: it is read here, and what cannot be served is refused."""
