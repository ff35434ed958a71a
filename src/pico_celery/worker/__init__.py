"""Workers: implementations of a contract, registered, executed on one event loop for each process."""
