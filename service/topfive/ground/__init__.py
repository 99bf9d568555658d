"""Values that every room shares: errors and their statuses, types, the clock, states, addresses."""
