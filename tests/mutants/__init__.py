"""Each guard of the product is taken out in turn, to see that the tests notice."""
