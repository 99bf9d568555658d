"""The model repository in Triton's layout: what is read of it, and what is refused."""
