"""Orders: what clients asked, what was sent, what the broker answered, and the record of it all."""
