"""The HTTP/1.1 server: it turns the bytes of a connection into requests, writes answers, and bounds slow clients."""
