"""A site about contracts: static HTML that needs no server, no network and no JavaScript to be read."""
