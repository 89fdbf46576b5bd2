"""Teachers: found, judged, asked, trained."""
