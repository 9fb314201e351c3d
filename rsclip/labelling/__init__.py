"""Windows laid over a scene, their similarities blended on the patch grid, labels of pixel rows."""
