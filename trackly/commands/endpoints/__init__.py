"""`trackly endpoints`."""
