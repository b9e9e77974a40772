"""The guide's nine endpoints: orders placed and cancelled, what is pending, what was executed; in the guide's words."""
