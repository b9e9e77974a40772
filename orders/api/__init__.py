"""What programs ask over HTTP: the nine endpoints of the guide, and the record to read under /api/v1/."""
