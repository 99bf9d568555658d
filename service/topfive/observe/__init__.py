"""What operators see: metrics, logs, statistics, trace contexts."""
