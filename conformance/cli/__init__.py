"""The command line: options, commands, and the session that they share."""
