"""Views show observations to a person or a CI system: tables, JUnit, GitHub, differences, and the page in ``html``."""
