"""Model pairs that come with the project, one folder per name. Read through `common.pair.manifest.find_pair`."""
