"""What was found: results that are kept and sealed, and the report that is drawn from them. Imports nothing."""
