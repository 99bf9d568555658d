"""The settings of the service, and how the command line and the environment set them."""
