"""The one loop: answers ahead of the judge, shards, resuming, ledgers, the header of a record."""
