"""What a request or a schedule does, in terms of the ports alone."""
