"""Many trials of one setting in one process, as one more axis of every tensor."""
