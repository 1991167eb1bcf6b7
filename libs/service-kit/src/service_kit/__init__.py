"""What every service needs once. Import from the submodules."""
