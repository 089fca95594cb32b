"""The one loop: answers ahead of the judge, merging of shards, resuming, ledgers, the header of a record."""
