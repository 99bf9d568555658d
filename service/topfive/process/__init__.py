"""The program: settings in, worker processes, signals, exit codes."""
