"""Cases of other projects' tests: what they ask becomes calls, what they answer is judged."""
