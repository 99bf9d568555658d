"""Image files: their formats, and all that Pillow leaves open about decoding them, each question in one module."""
