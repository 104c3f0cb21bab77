"""What is asked of the loader through its socket."""

SOCKET = "/run/denet-tui/loader.socket"
