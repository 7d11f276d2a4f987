"""Labels of new images by a fitted head, with probabilities, sets of labels and doubts."""
