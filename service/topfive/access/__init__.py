"""Who is let in: API keys, certificates, and the books of open connections."""
