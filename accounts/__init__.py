"""Accounts, lists and webhook endpoints: the model, and their store on compacted topics."""
