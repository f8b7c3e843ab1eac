"""The embedded default: the packaged stack on this machine, with doubles of the outside systems."""
