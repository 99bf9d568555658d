"""Bytes of a connection become requests and answers; slow and hostile clients are bounded here."""
