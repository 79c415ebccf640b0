"""The state log of a cluster: compacted Kafka topics that any number of processes read and write."""
