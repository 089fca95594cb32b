"""Golden data: the worked example with certified enclosures, and the waivers of the built-in adapters."""
