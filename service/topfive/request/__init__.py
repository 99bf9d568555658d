"""The life of one request: whether it may come in, its images prepared, queued and answered."""
