"""Category lists on the disk: fetched, judged, built into an index, kept with their predecessors, watched."""
