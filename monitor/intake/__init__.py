"""Kafka to `Columns`: consumer, decoder, contract checks, dead letters."""
