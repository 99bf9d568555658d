"""A version is tried on live traffic before it is trusted: as a shadow, which nobody sees, then as a canary."""
