"""The application as one would write it first."""
