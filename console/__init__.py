"""The API for senders and operators: register messages, remove and restore contacts, ask who may be texted."""
