"""How fast channels are from Python here: `python -m villas_shm.bench`."""
