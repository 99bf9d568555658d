"""Access to the service: API keys, TLS certificates, and the bounds of open connections."""
