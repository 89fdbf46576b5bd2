"""Images in: data sets, folders, standard input, read ahead."""
