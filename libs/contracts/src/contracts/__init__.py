"""Events and topics that the Campaigns services share. Import from the submodules."""
