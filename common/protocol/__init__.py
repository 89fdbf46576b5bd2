"""The wire: frames and messages. `README.md` beside this file is the specification."""
