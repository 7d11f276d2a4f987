"""ONNX files of a fitted classifier: transform, network, head and probabilities in one graph."""
