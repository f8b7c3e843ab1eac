"""Takes each guard of the product out in turn, to see that the tests notice."""
