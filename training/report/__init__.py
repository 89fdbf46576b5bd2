"""What people and scripts are shown: progress, tables, figures, intervals."""
