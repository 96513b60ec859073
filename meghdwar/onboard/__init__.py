"""Packages of strangers: what is in them, whether it is what their provider signed, and how to make one."""
