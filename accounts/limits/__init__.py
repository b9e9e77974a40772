"""What an account may do: limits as versioned rows, and how people change them."""
