"""Whether an application keeps to its contracts: names, policies, schedule, settings, servers."""
