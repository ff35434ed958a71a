"""How contracts change: what a change breaks, for whom, and what to do instead."""
