"""The command lines: `topfive import`, `check`, `example` and `export`."""
