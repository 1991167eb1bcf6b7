"""`make demo`: the main job, end to end, with every number compared."""
