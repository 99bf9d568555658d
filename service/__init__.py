"""topfive: any-size uint8 images in, five labels with their probabilities out."""

__version__ = "0.1.0"
