"""Builds ONNX graphs: the resizing of any image, what surrounds a network, and repairs of the network itself."""
