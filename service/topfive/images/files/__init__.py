"""What stands in an image file, and what is to be made of it: one module for each question that Pillow leaves open."""
