"""The kernel side: the BPF program, its loader, and the one door to its maps."""
