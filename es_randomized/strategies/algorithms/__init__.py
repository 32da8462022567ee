"""The package's own strategies: the class X is in the file of that name in lower case, and `driver.kind: X` means it."""
