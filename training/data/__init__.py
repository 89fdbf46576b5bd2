"""Images as training sees them: data sets, augmented views, files that somebody else made."""
