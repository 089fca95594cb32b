"""What a person or a CI system sees of observations: tables, JUnit, GitHub, differences, and the page in ``html``."""
