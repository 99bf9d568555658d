"""The launch gate: whether a version of a model may go live in place of another, in one sentence, with the evidence."""
