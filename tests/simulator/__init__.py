"""Histories of moves in a made-up world, a seed each: the real steps and the real saga, everything else may fail."""
