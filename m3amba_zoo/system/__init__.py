"""What is asked of the machine: whole files, memory, whether the network may be used."""
