"""The program: it reads the settings, starts the server or worker processes, and handles signals and exit codes."""
