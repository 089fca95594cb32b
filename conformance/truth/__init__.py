"""What is right: the exact result, enclosed by ``oracle``, the error that ``bounds`` allows, special values."""
