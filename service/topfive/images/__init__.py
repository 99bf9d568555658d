"""Images: from the bytes of a file, or raw pixels, to an array of pixels."""
