"""Templates for what a hypervisor or a new machine reads: cloud-init, LXD, libvirt."""
