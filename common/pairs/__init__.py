"""Model pairs that come with the project, one folder per name. Read through `common.manifest.find_pair`."""
