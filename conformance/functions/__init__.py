"""Functions of a caller as targets: their signatures are read, trial calls find out what they take, failures are
explained. Inputs of a caller are enclosed."""
