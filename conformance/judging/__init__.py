"""From the outcomes of a target and the truth to observations, for one call and for a check of several."""
