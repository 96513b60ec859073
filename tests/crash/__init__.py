"""Drivers killed at every point of a move, over real gateways: nothing acknowledged is lost, never two writers."""
