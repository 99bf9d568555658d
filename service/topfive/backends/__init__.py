"""What runs a batch: the interface (`base`) and its implementations, one file each."""
