"""What the command line does beside the daemon: a file a command, each returns its exit code."""
