"""The record on the disk: segments, their chains and checkpoints, searching, packing, erasing."""
