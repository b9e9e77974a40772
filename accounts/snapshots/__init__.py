"""What an account was worth and held, kept at regular times: the history behind the charts."""
