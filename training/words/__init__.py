"""The ladder of a pair: words, means, coordinates and their order, fitted to features of training images."""
