"""`python -m training.push`: a pair goes to the Hugging Face Hub, from where `--model OWNER/NAME` takes it."""
