"""What a body holds: it is read, unpacked, and taken apart into images."""
