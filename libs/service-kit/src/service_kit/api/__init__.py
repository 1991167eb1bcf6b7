"""What the four HTTP APIs have in common: the app factory, the envelope, text and page types."""
