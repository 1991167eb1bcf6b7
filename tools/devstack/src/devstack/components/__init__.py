"""The parts that are not Python services: how each is found, configured and prepared."""
