"""HTTP: the only layer, beside `app`, that knows of FastAPI and ASGI."""
