"""Seeded faults for an execution on real parts, and the check of all books afterwards."""
