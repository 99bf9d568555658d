"""HTTP: the only room, besides `app`, that uses FastAPI and ASGI."""
