"""What operators see of the service: metrics, logs, statistics, and the trace contexts of requests."""
