"""Delays of detection: rows, changes, and what each product says of them. See bench/detection.py."""
