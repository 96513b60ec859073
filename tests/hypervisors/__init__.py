"""Two gateways of each kind for the tests: processes, LXD and KVM."""
