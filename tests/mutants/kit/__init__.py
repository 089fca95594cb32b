"""What mutants are made of: the correct steps to vary, kinds of entries, mistakes that several modules make."""
