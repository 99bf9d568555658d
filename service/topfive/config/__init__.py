"""What can be set, and how the command line and the environment set it."""
