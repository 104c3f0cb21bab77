"""From map rows to a Snapshot per tick: the command, the sampler, the process tree, the worker."""
