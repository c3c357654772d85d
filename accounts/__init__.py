"""Accounts, lists and webhook endpoints: the model, accounts as code, and their store on compacted topics."""
