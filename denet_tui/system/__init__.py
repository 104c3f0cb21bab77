"""The machine below: who called and how to reach root, files, the terminal, clocks, descriptors, what uname(2) says."""
