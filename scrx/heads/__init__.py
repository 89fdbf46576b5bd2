"""Tasks chosen after transmission: classes that the receiver enrols, from the embeddings of received frames."""
