"""Reading without a part in the work: copies of topics, ranges of time, one reader for everything."""
