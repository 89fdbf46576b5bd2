"""The report, a file for each chapter. Imports nothing."""
