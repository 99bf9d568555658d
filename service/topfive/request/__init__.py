"""The life of one request: it is admitted or refused, its images are prepared and queued, and it is answered."""
