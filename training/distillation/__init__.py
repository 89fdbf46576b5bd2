"""A distillation, stage by stage, up to the pair on disk."""
