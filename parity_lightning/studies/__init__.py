"""Many trials of many settings: what to run, who runs it, and the record of what came out."""
