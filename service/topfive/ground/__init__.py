"""Values that all other packages share: errors and their statuses, types, the clock, states, addresses."""
