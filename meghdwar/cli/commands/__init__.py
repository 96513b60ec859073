"""The sub-commands of mdw, one file for what belongs together."""
