"""The backends, which run batches: their interface (`backends.base`) and its implementations."""
