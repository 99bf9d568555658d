"""The running service, which exists once in a process: its start and stop, gauges, reports and spans."""
