"""What a fleet can bear, before there is one: a simulation of servers by the costs that were measured on one."""
