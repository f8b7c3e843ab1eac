"""Hostile requests by the thousand: the same ones in every run, none of them twice."""
