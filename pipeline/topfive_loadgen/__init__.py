"""The measuring kernel: generators of load, their HTTP client, and verdicts; it knows no service and no Locust."""
