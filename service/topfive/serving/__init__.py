"""What exists once in a process and outlives every request: start, stop, gauges, reports."""
