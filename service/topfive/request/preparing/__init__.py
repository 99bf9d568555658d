"""From a request's body to images of the size that a model's batches take, in time and within memory."""
