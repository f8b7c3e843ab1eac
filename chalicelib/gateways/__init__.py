"""One outside technology each, behind a port."""
