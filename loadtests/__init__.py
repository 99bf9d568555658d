"""Load on a service that runs elsewhere: it talks HTTP to it, and imports nothing of it."""
